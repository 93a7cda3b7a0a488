//! Add-ons: what a service gives to apps, under which names, and what may happen to it.
//!
//! An add-on belongs to one app and may be attached to several. In each of them it goes by the name
//! of an attachment, which its config vars begin with: `DATABASE` gives `DATABASE_URL`.

mod attach;
mod naming;
mod provider;

pub use attach::{AttachError, Held, attach, detach, free_name};
pub use naming::{AddonName, AttachmentName, AttachmentNameError, invented_name, var_name};
pub use provider::{Order, Plan, Provider, ProviderError, Provisioned, Service, Usage};
