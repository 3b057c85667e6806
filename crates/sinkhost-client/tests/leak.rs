//! A hub that starts a plugin again and again for years leaks nothing. Alone in its file, for it counts what this
//! process has open.
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Running, frame, job, plugin};
use watchpost_sinkhost_client::ExitKind;

#[tokio::test]
async fn two_hundred_starts_leave_no_descriptor_and_no_process() {
    let plugin = plugin(&[]);
    let mut open = Vec::new();
    for round in 0..200 {
        let mut running = Running::start(&plugin).await;
        let pid = running.host.pid();
        let crashes = round % 2 == 1;
        let mut delivery = job(1, if crashes { "abort" } else { "frames" });
        delivery.frames = vec![frame(&[1; 10_000])];
        running.host.deliver(delivery).unwrap();
        if crashes {
            assert_eq!(running.exit().await.how, ExitKind::Signal(6));
        } else {
            running.done().await;
            assert_eq!(
                running.host.stop(Duration::from_secs(10)).await,
                ExitKind::Stopped
            );
        }
        assert!(
            !Path::new(&format!("/proc/{pid}")).exists(),
            "{pid} is not reaped"
        );
        open.push(std::fs::read_dir("/proc/self/fd").unwrap().count());
    }
    assert!(open.iter().skip(2).all(|count| *count <= open[1]), "{open:?}");
}
