//! What is done to alerts and to what is around the site.

use watchpost_scenarios::InHand;

use super::Stage;
use crate::oracle::Stored;

impl Stage<'_> {
    /// A person has taken alerts.
    pub(super) async fn acknowledge(&mut self, what: &InHand) {
        let hub = self.hub();
        let last = |camera: &str| {
            let stored = Stored::read(&self.ground.disk.dir()).expect("the store");
            let mut newest_first = stored.alerts.into_iter();
            let alert = newest_first.find(|stored| self.name(&stored.alert) == camera);
            alert.unwrap_or_else(|| panic!("no alert of {camera}")).alert.id
        };
        let id = match what {
            InHand::Listed(camera, _) | InHand::Dismissed(camera) => Some(last(camera)),
            InHand::Cleared => None,
        };
        let at = match what {
            InHand::Listed(_, at) => at.clone(),
            InHand::Dismissed(_) | InHand::Cleared => None,
        };
        let dismissed = matches!(what, InHand::Dismissed(_));
        let done = self.ask(async move {
            match id {
                None => hub.clear().await.map(drop),
                Some(id) if dismissed => hub.dismiss(id).await.map(drop),
                Some(id) => hub.acknowledge(id, at.as_deref()).await.map(drop),
            }
        });
        let Some(done) = done.await else { return };
        done.expect("it is acknowledged");
    }

    /// The backend's port is closed, or is open again. Of a sink nothing is done: it fails over a delivery only.
    pub(super) fn fault(&self, part: &str, is_faulty: bool) {
        assert_eq!(part, "main", "no other part can be made to fail");
        self.ground.network.change(|weather| weather.refused = is_faulty);
        if is_faulty {
            self.ground.network.reset();
        }
    }
}
