//! Reading a data directory without changing it.
