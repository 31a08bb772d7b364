package remedy

import "net/netip"

// builtinProtection says why an address is never blocked, whatever is
// configured; "" when it may be.
func builtinProtection(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "it is no address"
	case a.Is4In6():
		return "it is an IPv4 address in IPv6 clothes; write it as IPv4"
	case a.Zone() != "":
		return "it has a zone"
	case a.IsUnspecified():
		return "it stands for every address"
	case a.IsLoopback():
		return "it is this machine itself"
	case a.IsLinkLocalUnicast():
		return "it is link-local: neighbours, routers, metadata services"
	case a.IsMulticast(), a.IsInterfaceLocalMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "it is multicast or broadcast"
	case netip.PrefixFrom(netip.AddrFrom4([4]byte{0}), 8).Contains(a):
		return "it belongs to 0.0.0.0/8"
	}
	return ""
}
