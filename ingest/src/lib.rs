//! All sources behind one registry
