//! All backends behind one registry
