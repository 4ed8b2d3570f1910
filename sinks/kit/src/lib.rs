//! What every HTTP sink needs: client, status table, redaction
