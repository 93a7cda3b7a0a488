//! Who is let in: tokens and passwords, what is left of a token's calls, and whose an app is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use slugline_model::access::{Allowance, Role, Scope};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::asking::Who;
use crate::clock;
use crate::db::account::{self, Account};
use crate::db::app::App;
use crate::db::authorization::{Authorization, OPERATOR, Token};
use crate::db::{self, Db, DbError};
use crate::platform::Platform;

/// Passwords that are checked at once: each takes 19 MiB of memory for a moment.
const CHECKED: usize = 2;

/// Allowances in memory; full ones are forgotten beyond it.
const ALLOWANCES: usize = 10_000;

/// What is known of calls while the server runs.
#[derive(Debug)]
pub(crate) struct Access {
    allowances: Mutex<HashMap<Uuid, Allowance>>,
    passwords: Semaphore,
}

impl Default for Access {
    fn default() -> Self {
        Self { allowances: Mutex::default(), passwords: Semaphore::new(CHECKED) }
    }
}

/// A token that nobody guesses.
pub(crate) fn new_token() -> String {
    format!("SLUGLINE-{}-{}", Uuid::new_v4(), Uuid::new_v4().simple())
}

/// Lets the operator in by the token of the data directory, whatever it is now.
pub(crate) fn admit_operator(db: &Db, token: &str) -> Result<(), DbError> {
    let now = clock::now();
    let authorization = Authorization {
        id: OPERATOR,
        account_id: account::FIRST,
        client_id: None,
        description: "The operator's token, which lies in the data directory".to_owned(),
        scopes: vec![Scope::Global],
        token: Token { id: OPERATOR, ..Token::of(token) },
        expires_at: None,
        is_session: false,
        created_at: now,
        updated_at: now,
    };
    db.transaction(|db| db::authorization::put(db, &authorization))
}

/// What is kept of a password.
pub(crate) fn hash_password(password: &str) -> Result<String, argon2::password_hash::Error> {
    let salt = SaltString::encode_b64(Uuid::new_v4().as_bytes())?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt)?.to_string())
}

fn is_password(password: &str, hash: &str) -> bool {
    let hash = PasswordHash::new(hash);
    hash.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

impl Platform {
    /// Whoever holds a token, if it is good now.
    pub(crate) fn holder(&self, token: &str) -> Result<Option<Who>, DbError> {
        let found = self.inner.db.read(|db| {
            let found = db::authorization::of_token(db, token, clock::now())?;
            let Some(authorization) = found else { return Ok(None) };
            let account = account::by_id(db, authorization.account_id)?;
            Ok(account.map(|account| (authorization, account)))
        })?;
        let Some((authorization, account)) = found.filter(|(_, account)| !account.is_removed)
        else {
            return Ok(None);
        };
        Ok(Some(Who {
            account,
            authorization: authorization.id,
            token: Some(token.to_owned()),
            scopes: authorization.scopes,
        }))
    }

    /// Whoever has this email and password. It takes as long where there is no such account.
    pub(crate) async fn by_password(
        &self,
        email: &str,
        password: &str,
    ) -> Result<Option<Who>, DbError> {
        let Ok(_turn) = self.inner.access.passwords.acquire().await else { return Ok(None) };
        let account = self.inner.db.read(|db| account::find(db, email))?;
        let account = account.filter(|account| !account.is_removed);
        let kept = account.as_ref().and_then(|account| account.password.clone());
        let password = password.to_owned();
        let is_right = self
            .blocking(move |_| match kept {
                Some(kept) => is_password(&password, &kept),
                None => hash_password(&password).is_err(),
            })
            .await;
        Ok(account.filter(|_| is_right).map(|account| Who {
            account,
            authorization: Uuid::nil(),
            token: None,
            scopes: vec![Scope::Global],
        }))
    }

    /// Takes a call of a token's allowance; gives how many are left, none where none was. The
    /// operator's own has no bounds.
    pub(crate) fn take_call(&self, authorization: Uuid) -> Option<u32> {
        let (per_hour, now) = (self.inner.config.limits.api_calls, clock::since_boot());
        if authorization == OPERATOR {
            return Some(per_hour);
        }
        let allowances = self.inner.access.allowances.lock();
        let mut allowances = allowances.unwrap_or_else(PoisonError::into_inner);
        if allowances.len() >= ALLOWANCES {
            allowances.retain(|_, allowance| allowance.left(per_hour, now) < per_hour);
        }
        let full = Allowance::full(per_hour, now);
        let allowance = allowances.entry(authorization).or_insert(full);
        allowance.take(per_hour, now).then(|| allowance.left(per_hour, now))
    }

    /// How many calls are left to a token.
    pub(crate) fn calls_left(&self, authorization: Uuid) -> u32 {
        let (per_hour, now) = (self.inner.config.limits.api_calls, clock::since_boot());
        let allowances = self.inner.access.allowances.lock();
        let allowances = allowances.unwrap_or_else(PoisonError::into_inner);
        allowances.get(&authorization).map_or(per_hour, |known| known.left(per_hour, now))
    }

    /// What somebody is to an app; none for strangers. Who has the machine has its apps.
    pub(crate) fn role(&self, who: &Who, app: &App) -> Result<Option<Role>, DbError> {
        let account: &Account = &who.account;
        if app.owner_id == account.id || account.is_admin {
            return Ok(Some(Role::Owner));
        }
        let is_one = self.inner.db.read(|db| db::collaborator::is_one(db, app.id, account.id))?;
        Ok(is_one.then_some(Role::Collaborator))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_itself_is_right() {
        let hash = hash_password("sesame").unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert_ne!(hash, hash_password("sesame").unwrap());
        assert!(is_password("sesame", &hash));
        assert!(!is_password("Sesame", &hash) && !is_password("sesame", "nonsense"));
    }
}
