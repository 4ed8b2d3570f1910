//! Admit, gather, decide, reserve, deliver, settle
