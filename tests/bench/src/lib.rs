//! Speed, cost and scale, each against its floor
