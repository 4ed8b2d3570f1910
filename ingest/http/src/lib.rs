//! The HTTP source: dispatch one action or a batch
