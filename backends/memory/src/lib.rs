//! State and audit in the memory of one process
