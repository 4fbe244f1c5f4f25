//! nwaku, where there is one.
