//! Writes each action to the log
