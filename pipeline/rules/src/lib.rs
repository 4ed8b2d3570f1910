//! Rules: read, compiled, decided and explained.
