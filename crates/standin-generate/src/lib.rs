//! Generators and sampling strategies.
