//! The control socket and its routes:
//!
//! | route | answer |
//! |---|---|
//! | `GET /v1/status` | [`Status`] |
//! | `GET /v1/alerts?limit=&all=&before=&camera=&kind=&severity=&since=&until=` | [`watchpost_hub::AlertPage`] of the live list, or with `all=true` of every alert |
//! | `GET /v1/alerts/{id}` | one alert with its deliveries |
//! | `GET /v1/alerts/{id}/picture` | its picture, `image/jpeg` |
//! | `GET /v1/alerts/{id}/explain` | why each sink got it or did not: [`watchpost_hub::Explanation`] |
//! | `POST /v1/alerts/{id}/acknowledge?at=` | acknowledges it, in the name of a person at that sink; it stays on the live list |
//! | `POST /v1/alerts/{id}/dismiss` | acknowledges it and takes it off the live list |
//! | `POST /v1/alerts/clear` | dismisses all that are on the live list |
//! | `GET /v1/cameras` | the cameras of the newest alerts, each a [`watchpost_hub::SeenCameraReport`] |
//! | `GET /v1/deliveries?alert=&sink=&state=&since=&until=&limit=` | deliveries, those of the newest alerts first |
//! | `POST /v1/deliveries/retry?…` | has those made again that are not delivered; [`watchpost_hub::Changed`] |
//! | `POST /v1/deliveries/drop?…` | drops those that are pending |
//! | `GET /v1/silences` | the silences that are not over, each a [`watchpost_core::Silence`] |
//! | `POST /v1/silences` | begins one, which a [`crate::BeginSilence`] describes; [`crate::SilenceAnswer`] |
//! | `POST /v1/silences/{id}/extend` | has it last so long from now on: [`crate::ExtendSilence`] |
//! | `POST /v1/silences/{id}/end` | ends it |
//! | `GET /v1/areas` | where every area stands, each a [`watchpost_hub::AreaReport`] |
//! | `POST /v1/areas/arm` | arms areas, as a [`crate::ArmAreas`] says; [`crate::AreasAnswer`], or 409 with what keeps them from being ready |
//! | `POST /v1/areas/disarm` | disarms those that a [`crate::NamedAreas`] names, or all |
//! | `POST /v1/areas/postpone` | schedules arm areas later, as a [`crate::PostponeAreas`] says |
//! | `POST /v1/areas/test` | begins or ends test mode, as a [`crate::TestAreas`] says |
//! | `POST /v1/areas/seen` | what has triggered them is seen, and not remembered any more |
//! | `POST /v1/panic` | raises a panic, as a [`crate::RaisePanic`] says; [`crate::PanicAnswer`] |
//! | `POST /v1/reload` | has the hub go by its configuration as that is now; [`crate::Reloaded`], or 422 with every mistake |
//!
//! Acknowledge, dismiss, clear, drop and disarm stop at once what is in flight, also while the store cannot be written. Then the
//! answer is 202 with [`Deferred`], or a [`watchpost_hub::Changed`] that says so.
//! Errors are [`Problem`] documents.
//!
//! A sink that may use local sockets reaches this one too, and is refused: what a plugin may do with alerts is a grant of its
//! own.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::rt::net::UnixStream;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde::{Deserialize, Serialize};
use watchpost_core::AlertId;
use watchpost_hub::{AlertQuery, DeliveryQuery, HubHandle, Recording, STOPPED_DEFERRED, is_of_a_sink};

use crate::{Problem, Program, Status, areas, panic, silences};

/// Name of the socket in the data directory.
pub const SOCKET_NAME: &str = "control.sock";

/// What a client that takes no answer may hold up the end of the hub by, in seconds.
const SHUTDOWN_TIMEOUT_SECONDS: u64 = 2;

/// Most alerts that one request may ask for.
const MAX_LIMIT: u32 = 1_000;

/// The answer (202) to a command that stops something, while the store cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferred {
    /// What this means, in a sentence.
    pub deferred: String,
}

/// The socket could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on the control socket {}: {source}. The data directory must be writable and its path shorter than 100 bytes.", path.display())]
pub struct ControlError {
    path: PathBuf,
    source: io::Error,
}

/// Serves the control socket in `data_dir` until the returned server is stopped. Only the hub's own user
/// can connect (mode 0600). A socket left by a hub that was killed is replaced.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve_control(
    hub: HubHandle,
    program: Arc<dyn Program>,
    data_dir: &Path,
) -> Result<Server, ControlError> {
    let path = data_dir.join(SOCKET_NAME);
    listen(&path, hub, program).map_err(|source| ControlError { path, source })
}

fn listen(path: &Path, hub: HubHandle, program: Arc<dyn Program>) -> io::Result<Server> {
    // Made under another name first, so that no client finds it before its mode is right.
    let temp_path = path.with_extension("new");
    match fs::remove_file(&temp_path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(&temp_path)?;
    fs::set_permissions(&temp_path, Permissions::from_mode(0o600))?;
    fs::rename(&temp_path, path)?;
    let app = move || {
        let app = App::new().wrap(from_fn(refuse_sinks));
        app.configure(|routes| configure(routes, hub.clone(), Arc::clone(&program)))
    };
    Ok(HttpServer::new(app)
        .on_connect(|stream, about| {
            if stream.downcast_ref().is_some_and(is_trusted) {
                about.insert(Trusted);
            }
        })
        .workers(1)
        .shutdown_timeout(SHUTDOWN_TIMEOUT_SECONDS)
        .disable_signals()
        .listen_uds(listener)?
        .run())
}

/// A connection whose other end is no sink.
#[derive(Clone, Copy, Debug)]
struct Trusted;

/// Whoever made the connection is looked at, which is a process that can be known and not whoever writes to it later.
fn is_trusted(stream: &UnixStream) -> bool {
    let Ok(peer) = stream.peer_cred() else {
        return false;
    };
    let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok());
    pid.is_some_and(|pid| !is_of_a_sink(pid, peer.uid()))
}

async fn refuse_sinks(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if request.conn_data::<Trusted>().is_none() {
        return Err(Problem::new(403, "Forbidden", "sinks do not command the hub").into());
    }
    next.call(request).await
}

fn configure(routes: &mut web::ServiceConfig, hub: HubHandle, program: Arc<dyn Program>) {
    routes
        .app_data(web::Data::new(hub))
        .app_data(web::Data::from(program))
        .app_data(web::QueryConfig::default().error_handler(|e, _| Problem::bad_request(e).into()))
        .app_data(web::PathConfig::default().error_handler(|e, _| Problem::bad_request(e).into()))
        .route("/v1/status", web::get().to(status))
        .route("/v1/alerts", web::get().to(alerts))
        .route("/v1/alerts/clear", web::post().to(clear))
        .route("/v1/alerts/{id}", web::get().to(alert))
        .route("/v1/alerts/{id}/picture", web::get().to(picture))
        .route("/v1/alerts/{id}/explain", web::get().to(explain))
        .route("/v1/alerts/{id}/acknowledge", web::post().to(acknowledge))
        .route("/v1/alerts/{id}/dismiss", web::post().to(dismiss))
        .route("/v1/cameras", web::get().to(cameras))
        .route("/v1/deliveries", web::get().to(deliveries))
        .route("/v1/deliveries/retry", web::post().to(retry_deliveries))
        .route("/v1/deliveries/drop", web::post().to(drop_deliveries))
        .app_data(web::JsonConfig::default().error_handler(|e, _| Problem::bad_request(e).into()))
        .configure(silences::configure)
        .configure(areas::configure)
        .route("/v1/panic", web::post().to(panic::panic))
        .route("/v1/reload", web::post().to(reload))
        .default_service(web::to(|| async {
            Err::<HttpResponse, _>(Problem::not_found("there is no such route"))
        }));
}

type Hub = web::Data<HubHandle>;

async fn status(hub: Hub, program: web::Data<dyn Program>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(Status {
        hub: hub.status().await?,
        program: program.status(),
    }))
}

async fn alerts(hub: Hub, query: web::Query<AlertQuery>) -> Result<HttpResponse, Problem> {
    check_limit(query.limit)?;
    Ok(HttpResponse::Ok().json(hub.alerts(query.into_inner()).await?))
}

async fn alert(hub: Hub, id: web::Path<AlertId>) -> Result<HttpResponse, Problem> {
    let id = id.into_inner();
    let entry = hub.alert(id).await?.ok_or_else(|| no_such_alert(id))?;
    Ok(HttpResponse::Ok().json(entry))
}

async fn picture(hub: Hub, id: web::Path<AlertId>) -> Result<HttpResponse, Problem> {
    let id = id.into_inner();
    match hub.picture(id).await?.ok_or_else(|| no_such_alert(id))? {
        Ok(jpeg) => Ok(HttpResponse::Ok().content_type("image/jpeg").body(jpeg)),
        Err(why) => Err(Problem::not_found(format_args!(
            "alert {id} has no picture: {why}"
        ))),
    }
}

async fn explain(hub: Hub, id: web::Path<AlertId>) -> Result<HttpResponse, Problem> {
    let id = id.into_inner();
    let explanation = hub.explain(id).await?.ok_or_else(|| no_such_alert(id))?;
    Ok(HttpResponse::Ok().json(explanation))
}

/// Where an alert was acknowledged.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledging {
    /// The sink at which a person has done so.
    #[serde(default)]
    at: Option<String>,
}

async fn acknowledge(
    hub: Hub,
    id: web::Path<AlertId>,
    query: web::Query<Acknowledging>,
) -> Result<HttpResponse, Problem> {
    let id = id.into_inner();
    taken(hub.acknowledge(id, query.at.as_deref()).await?, id)
}

async fn dismiss(hub: Hub, id: web::Path<AlertId>) -> Result<HttpResponse, Problem> {
    let id = id.into_inner();
    taken(hub.dismiss(id).await?, id)
}

fn taken(recording: Recording<bool>, id: AlertId) -> Result<HttpResponse, Problem> {
    match recording {
        Recording::Done(true) => Ok(HttpResponse::NoContent().finish()),
        Recording::Done(false) => Err(no_such_alert(id)),
        Recording::Deferred => Ok(deferred()),
    }
}

async fn clear(hub: Hub) -> Result<HttpResponse, Problem> {
    Ok(match hub.clear().await? {
        Recording::Done(()) => HttpResponse::NoContent().finish(),
        Recording::Deferred => deferred(),
    })
}

async fn cameras(hub: Hub) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(hub.cameras().await?))
}

fn deferred() -> HttpResponse {
    HttpResponse::Accepted().json(Deferred {
        deferred: STOPPED_DEFERRED.to_owned(),
    })
}

async fn deliveries(hub: Hub, query: web::Query<DeliveryQuery>) -> Result<HttpResponse, Problem> {
    check_limit(query.limit)?;
    check_sink(&hub, &query).await?;
    Ok(HttpResponse::Ok().json(hub.deliveries(query.into_inner()).await?))
}

async fn retry_deliveries(hub: Hub, query: web::Query<DeliveryQuery>) -> Result<HttpResponse, Problem> {
    check_sink(&hub, &query).await?;
    Ok(HttpResponse::Ok().json(hub.retry_deliveries(query.into_inner()).await?))
}

async fn drop_deliveries(hub: Hub, query: web::Query<DeliveryQuery>) -> Result<HttpResponse, Problem> {
    check_sink(&hub, &query).await?;
    Ok(HttpResponse::Ok().json(hub.drop_deliveries(query.into_inner()).await?))
}

async fn reload(program: web::Data<dyn Program>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(program.reload().await?))
}

/// A name that no sink has is a typing error, and not a sink without deliveries.
async fn check_sink(hub: &Hub, query: &DeliveryQuery) -> Result<(), Problem> {
    let Some(name) = &query.sink else { return Ok(()) };
    let names = hub.sink_names().await?;
    if names.contains(name) {
        return Ok(());
    }
    let names: Vec<String> = names.into_iter().collect();
    Err(Problem::bad_request(match names.is_empty() {
        true => format!("there is no sink `{name}`: the hub has none"),
        false => format!("there is no sink `{name}`; there are {}", names.join(", ")),
    }))
}

fn check_limit(limit: Option<u32>) -> Result<(), Problem> {
    if limit.is_some_and(|limit| limit == 0 || limit > MAX_LIMIT) {
        return Err(Problem::bad_request(format_args!(
            "limit must be 1 to {MAX_LIMIT}"
        )));
    }
    Ok(())
}

fn no_such_alert(id: AlertId) -> Problem {
    Problem::not_found(format_args!(
        "there is no alert {id}; it may have grown too old. `watchpost alerts list --all` shows what there is."
    ))
}
