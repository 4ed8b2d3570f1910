//! All sinks behind one registry
