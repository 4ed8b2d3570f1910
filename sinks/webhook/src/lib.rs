//! Posts each action to a URL
