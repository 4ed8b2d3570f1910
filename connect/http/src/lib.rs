//! The manners of the HTTP API: errors, bodies, request ids
