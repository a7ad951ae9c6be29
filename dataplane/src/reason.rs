//! Why a packet is not in a flow.
