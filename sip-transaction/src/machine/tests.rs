//! The whole of each machine: every state, everything that can happen, over both kinds of transport.
