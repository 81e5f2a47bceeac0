// Package schema declares the metadata of generation G2: every type, call,
// storage item, event, error, constant and runtime API that the native engine
// offers, in a small language of its own.
//
// The declaration lies in four text files beside this one. A named type is
//
//	struct PeerInfo = pallet_network::pallet::PeerInfo { peer_id: OpaquePeerId, multiaddr: Option<BoundedVec<u8>> }
//	enum Phase = frame_system::Phase { 0 ApplyExtrinsic(u32), 1 Finalization, 2 Initialization }
//
// with generic parameters after the path (<T> erased, <T=u32> bound), and a
// pallet lists its parts under their real names and indices:
//
//	pallet Sudo 6 {
//		storage Sudo { Key?: AccountId20 }
//		calls pallet_sudo::pallet<T> { 2 set_key { new: AccountId20 } }
//	}
//
// A question mark makes a storage item optional, brackets hold hasher and key
// of a map, "= value" gives the default; numbers stand for integers and hex for
// everything else. The value "dynamic" is supplied by the caller of [Build].
//
// Build turns the declaration into a metadata.Metadata, from which version 14
// and version 15 are encoded. It is pure and takes a few milliseconds.
package schema
