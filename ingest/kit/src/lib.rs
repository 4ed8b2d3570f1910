//! What every source needs: decoding, watermarks, supervision
