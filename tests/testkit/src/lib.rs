//! Contract suites and recording doubles for the ports
