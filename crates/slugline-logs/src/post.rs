//! One request to where a user says: a webhook's. By the same rules as drains.

use std::sync::Once;
use std::time::Duration;

use slugline_model::outbound::Outbound;

use crate::drain::{addresses, place};

static RING: Once = Once::new();

/// How long the other side may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request.
#[derive(Debug, Clone)]
pub struct Post {
    /// Where it goes.
    pub url: String,
    /// What is sent, JSON.
    pub body: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// What may be connected to.
    pub outbound: Outbound,
}

impl Post {
    /// Sends it. Gives the status that is answered, or says in a few words why none is.
    pub async fn send(self) -> Result<u16, String> {
        let (host, port) = place(&self.url).map_err(|error| error.to_string())?;
        let allowed = addresses(&self.outbound, &host, port).await;
        let allowed = allowed.map_err(|error| error.to_string())?;
        // Whoever installed one before has chosen as well.
        RING.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        // A proxy would connect in our place, to wherever it may; a redirect leads anywhere.
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .resolve_to_addrs(&host, &allowed)
            .connect_timeout(PATIENCE)
            .timeout(PATIENCE)
            .user_agent(concat!("slugline/", env!("CARGO_PKG_VERSION"), " (webhooks)"))
            .build()
            .map_err(|_| "this machine cannot send".to_owned())?;
        let request = client.post(&self.url).header("Content-Type", "application/json");
        let request =
            self.headers.into_iter().fold(request, |request, (n, v)| request.header(n, v));
        let answer = request.body(self.body).send().await.map_err(|error| told(&error))?;
        Ok(answer.status().as_u16())
    }
}

/// Without the address, which may hold a secret.
fn told(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("nothing was heard for {} seconds", PATIENCE.as_secs());
    }
    if error.is_connect() {
        return "it is not connected".to_owned();
    }
    "the request failed".to_owned()
}
