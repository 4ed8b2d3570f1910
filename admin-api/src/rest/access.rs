//! Who asks, and what they may see: the one place where a request becomes an [`Access`].

use acteon_connect_http::ApiError;
use acteon_core::{Caller, Scope};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::service::Access;

impl<S: Send + Sync> FromRequestParts<S> for Access {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        resolve(parts)
    }
}

/// Without authentication everybody may do everything, and is nobody in particular.
fn resolve(_parts: &Parts) -> Result<Access, ApiError> {
    Ok(Access {
        scope: Scope::everything(),
        caller: Caller::anonymous(),
    })
}
