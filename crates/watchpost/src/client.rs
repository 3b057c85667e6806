//! Talks to the running hub over its control socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_rt::net::UnixStream;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::http::{Method, StatusCode, Uri};
use awc::{Client, Connector, SendClientRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use watchpost_web::{Deferred, Problem, SOCKET_NAME};

use crate::exit::Failure;

/// Largest answer taken, in bytes: a thousand alerts, or a picture.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// An answer is there by then.
const MAX_ANSWER_TIME: Duration = Duration::from_secs(5);

/// The answer to a command that may take long is there by then: a reload loads every plugin.
const MAX_COMMAND_TIME: Duration = Duration::from_secs(600);

/// The hub that lives in a data directory.
pub(crate) struct HubClient {
    http: Client,
    socket: PathBuf,
}

impl HubClient {
    /// Needs an actix system around it. Connects with the first request.
    pub(crate) fn new(data_dir: &Path) -> Self {
        let socket = data_dir.join(SOCKET_NAME);
        let path = socket.clone();
        let dial = actix_web::dev::fn_service(move |request: ConnectInfo<Uri>| {
            let path = path.clone();
            async move {
                let stream = UnixStream::connect(path).await.map_err(ConnectError::Io)?;
                Ok::<_, ConnectError>(Connection::new(request.request().clone(), stream))
            }
        });
        let http = Client::builder()
            .connector(Connector::new().connector(dial))
            .finish();
        Self { http, socket }
    }

    /// Asks for a JSON document.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.get_with(path, &()).await
    }

    /// Asks for a JSON document, with a query.
    pub(crate) async fn get_with<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> anyhow::Result<T> {
        let body = self.request(Method::GET, path, query).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Asks for bytes.
    pub(crate) async fn get_bytes(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        self.request(Method::GET, path, &()).await
    }

    /// Commands something, with a query, that answers nothing, unless it is deferred.
    pub(crate) async fn post(&self, path: &str, query: &impl Serialize) -> anyhow::Result<Option<Deferred>> {
        let body = self.request(Method::POST, path, query).await?;
        if body.is_empty() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&body)?))
    }

    /// Commands something, with a query, that is answered with a JSON document.
    pub(crate) async fn post_with<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> anyhow::Result<T> {
        let body = self.request(Method::POST, path, query).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Commands something that a JSON document describes.
    pub(crate) async fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let request = self.http.request(Method::POST, format!("http://hub{path}"));
        let sent = request.timeout(MAX_ANSWER_TIME).send_json(body);
        answered(self.read(sent).await?).and_then(|body| Ok(serde_json::from_slice(&body)?))
    }

    /// Commands something that takes as long as it takes, and may be refused.
    pub(crate) async fn try_post<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> anyhow::Result<Result<T, Problem>> {
        match self.send(Method::POST, path, &(), MAX_COMMAND_TIME).await? {
            Ok(body) => Ok(Ok(serde_json::from_slice(&body)?)),
            Err(problem) => Ok(Err(problem)),
        }
    }

    async fn request(&self, method: Method, path: &str, query: &impl Serialize) -> anyhow::Result<Vec<u8>> {
        answered(self.send(method, path, query, MAX_ANSWER_TIME).await?)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &impl Serialize,
        within: Duration,
    ) -> anyhow::Result<Result<Vec<u8>, Problem>> {
        let request = self
            .http
            .request(method, format!("http://hub{path}"))
            .timeout(within)
            .query(query)?;
        self.read(request.send()).await
    }

    /// Waits for the answer to a request that was sent.
    async fn read(&self, sent: SendClientRequest) -> anyhow::Result<Result<Vec<u8>, Problem>> {
        let mut answer = sent.await.map_err(|e| self.not_running(&e))?;
        let body = answer.body().limit(MAX_ANSWER_BYTES).await?;
        if answer.status().is_success() {
            return Ok(Ok(body.to_vec()));
        }
        match serde_json::from_slice(&body) {
            Ok(problem) => Ok(Err(problem)),
            Err(_) => anyhow::bail!("the hub answered {}", answer.status()),
        }
    }

    fn not_running(&self, error: &awc::error::SendRequestError) -> anyhow::Error {
        Failure::NotRunning(format!(
            "no hub answers at {}: {error}. Is it running, with this data directory, and are you the user it runs as (or root)?",
            self.socket.display()
        ))
        .into()
    }
}

/// The answer, or what the hub says is wrong as an error.
fn answered(answer: Result<Vec<u8>, Problem>) -> anyhow::Result<Vec<u8>> {
    match answer {
        Ok(body) => Ok(body),
        Err(problem) if problem.status != StatusCode::INTERNAL_SERVER_ERROR.as_u16() => {
            anyhow::bail!("{}", problem.detail)
        }
        Err(problem) => anyhow::bail!("{problem}"),
    }
}
