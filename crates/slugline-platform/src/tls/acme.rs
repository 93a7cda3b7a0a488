//! A client of an authority that issues certificates by ACME (RFC 8555), proven by answers of the
//! router.

use std::path::PathBuf;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, LetsEncrypt,
    NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, KeyPair};
use slugline_model::domain::HostName;

use crate::db::{self, DbError};
use crate::platform::Platform;

/// Who issues certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// The URL of its directory.
    pub directory: String,
    /// Where it may write to: `mailto:owner@example.com`.
    pub contact: Option<String>,
    /// What its own certificate is trusted by, a PEM file, where that is not the machine's own trust.
    pub trust: Option<PathBuf>,
}

impl Default for Acme {
    fn default() -> Self {
        let directory = LetsEncrypt::Production.url().to_owned();
        Self { directory, contact: None, trust: None }
    }
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcmeError {
    #[error("{0}")]
    Authority(#[from] instant_acme::Error),
    #[error("make a key and a request: {0}")]
    Request(#[from] rcgen::Error),
    #[error("the authority offers no check by HTTP")]
    NoChallenge,
    #[error("{0}")]
    Invalid(String),
    #[error("read or write the account")]
    Db(#[from] DbError),
    #[error("read or write the account")]
    Account(#[from] serde_json::Error),
}

/// What was issued: a chain and its key, PEM.
pub(crate) struct Issued {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Platform {
    /// Has a certificate issued for a host.
    pub(crate) async fn issue(&self, host: &HostName) -> Result<Issued, AcmeError> {
        let account = self.acme_account().await?;
        let identifiers = [Identifier::Dns(host.to_string())];
        let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
        let mut answered = Vec::new();
        let issued = self.prove_and_finish(&mut order, host, &mut answered).await;
        self.answer_challenges(|challenges| {
            for token in &answered {
                challenges.remove(token);
            }
        });
        issued
    }

    async fn prove_and_finish(
        &self,
        order: &mut Order,
        host: &HostName,
        answered: &mut Vec<String>,
    ) -> Result<Issued, AcmeError> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let challenge = authorization.challenge(ChallengeType::Http01);
            let mut challenge = challenge.ok_or(AcmeError::NoChallenge)?;
            let (token, answer) =
                (challenge.token.clone(), challenge.key_authorization().as_str().to_owned());
            answered.push(token.clone());
            self.answer_challenges(|challenges| drop(challenges.insert(token, answer)));
            challenge.set_ready().await?;
        }
        let policy = RetryPolicy::default();
        if order.poll_ready(&policy).await? != OrderStatus::Ready {
            return Err(AcmeError::Invalid(why_invalid(order).await));
        }
        let key = KeyPair::generate()?;
        let params = CertificateParams::new([host.to_string()])?;
        order.finalize_csr(params.serialize_request(&key)?.der()).await?;
        let chain = order.poll_certificate(&policy).await?;
        Ok(Issued { chain, key: key.serialize_pem() })
    }

    /// Whom the authority knows us as, made known first where it does not.
    async fn acme_account(&self) -> Result<Account, AcmeError> {
        let Acme { directory, contact, trust } = &self.inner.config.acme;
        let builder = || match trust {
            Some(trust) => Account::builder_with_root(trust),
            None => Account::builder(),
        };
        if let Some(known) = self.inner.db.read(|db| db::acm::account(db, directory))? {
            let credentials: AccountCredentials = serde_json::from_str(&known)?;
            return Ok(builder()?.from_credentials(credentials).await?);
        }
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let (account, credentials) = builder()?.create(&new, directory.clone(), None).await?;
        let text = serde_json::to_string(&credentials)?;
        self.inner.db.transaction(|db| db::acm::keep_account(db, directory, &text))?;
        Ok(account)
    }
}

/// What the authority says of a check that failed.
async fn why_invalid(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        let errors = authorization.challenges.iter().filter_map(|one| one.error.as_ref());
        if let Some(error) = errors.into_iter().next() {
            return error.to_string();
        }
    }
    "the authority did not accept the proof".to_owned()
}
