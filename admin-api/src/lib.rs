//! The admin API: rules, audit, dead letters, providers
