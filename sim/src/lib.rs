//! A deterministic network and clock that drives any number of sans-IO SIP endpoints from one seed.
