//! Drains by requests: a POST a batch, `application/logplex-1`.

use std::net::SocketAddr;
use std::sync::Once;

use slugline_model::drain::Delivered;

use super::address::{addresses, place};
use super::{Batch, Drain, DrainError, PATIENCE};

static RING: Once = Once::new();

/// The requests of one drain.
#[derive(Default)]
pub(super) struct Requests {
    /// A client that connects to these addresses alone: what was checked is what is connected to.
    client: Option<(Vec<SocketAddr>, reqwest::Client)>,
}

impl Requests {
    pub(super) async fn send(
        &mut self,
        drain: &Drain,
        batch: &Batch,
    ) -> Result<Delivered, DrainError> {
        let (host, port) = place(drain.url.as_str())?;
        let allowed = addresses(&drain.outbound, &host, port).await?;
        let answer = self
            .client(&host, allowed)?
            .post(drain.url.as_str())
            .header("Content-Type", "application/logplex-1")
            .header("Logplex-Msg-Count", batch.lines.len())
            .header("Logplex-Frame-Id", frame_id(drain, batch))
            .header("Logplex-Drain-Token", &drain.token)
            .body(batch.body.clone())
            .send()
            .await;
        match answer {
            Ok(answer) => match Delivered::of(answer.status().as_u16()) {
                Delivered::Again => Err(DrainError::Status(answer.status().as_u16())),
                delivered => Ok(delivered),
            },
            Err(error) => {
                self.client = None;
                Err(failure(error))
            }
        }
    }

    fn client(
        &mut self,
        host: &str,
        allowed: Vec<SocketAddr>,
    ) -> Result<reqwest::Client, DrainError> {
        if let Some((addresses, client)) = &self.client
            && *addresses == allowed
        {
            return Ok(client.clone());
        }
        // Whoever installed one before has chosen as well.
        RING.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        // A proxy would connect in our place, to wherever it may; a redirect leads anywhere.
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .resolve_to_addrs(host, &allowed)
            .connect_timeout(PATIENCE)
            .timeout(PATIENCE)
            .user_agent(concat!("slugline/", env!("CARGO_PKG_VERSION"), " (Logplex)"))
            .build()
            .map_err(|error| DrainError::Prepare(error.into()))?;
        self.client = Some((allowed, client.clone()));
        Ok(client)
    }
}

/// The same for the same lines of the same drain, also after a restart of the server, so that who
/// receives them twice can tell.
fn frame_id(drain: &Drain, batch: &Batch) -> String {
    let number = |line: Option<&(u64, _)>| line.map_or(0, |(number, _)| *number);
    let (first, last) = (number(batch.lines.first()), number(batch.lines.last()));
    format!("{}-{first}-{last}", drain.token)
}

fn failure(error: reqwest::Error) -> DrainError {
    let error = error.without_url();
    if error.is_timeout() {
        return DrainError::Silent;
    }
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        if inner.downcast_ref::<rustls::Error>().is_some_and(is_certificate)
            || inner.to_string().contains("invalid peer certificate")
        {
            return DrainError::Certificate(inner.to_string().into());
        }
        source = inner.source();
    }
    DrainError::Request(error)
}

/// Whether TLS failed for the other side's certificate.
pub(super) fn is_certificate(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(_))
}
