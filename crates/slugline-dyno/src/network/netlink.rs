//! Requests to the kernel about interfaces, addresses and routes of the network that the socket was
//! made in.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, Prop,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
};
use slugline_model::network::Subnet;

use crate::op_error::{OpError, Operation};

/// The kernel's address.
const KERNEL: u32 = 0;

/// The index of every network's loopback.
const LOOPBACK: u32 = 1;

/// The name of a dyno's interface.
pub(crate) const INTERFACE: &str = "eth0";

/// A socket to the kernel.
pub(crate) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// For the calling thread's network, from now on wherever the thread goes.
    pub(crate) fn open() -> Result<Self, OpError> {
        let family = rustix::net::AddressFamily::NETLINK;
        let (kind, flags) = (SocketType::RAW, SocketFlags::CLOEXEC);
        // Of netlink's protocols, none named is that of routes.
        let opened = socket_with(family, kind, flags, None).and_then(|socket| {
            connect(&socket, &SocketAddrNetlink::new(KERNEL, 0))?;
            Ok(socket)
        });
        Ok(Self { socket: opened.op(|| "open a netlink socket".to_owned())?, sequence: 0 })
    }

    pub(crate) fn loopback_up(&mut self) -> Result<(), OpError> {
        self.bring_up(LOOPBACK).op(|| "bring loopback up".to_owned())
    }

    fn bring_up(&mut self, index: u32) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        self.request(RouteNetlinkMessage::SetLink(message), 0)
    }

    /// Makes a pair of interfaces, both down: one of this name here, one called [`INTERFACE`] in
    /// another network.
    pub(crate) fn add_pair(
        &mut self,
        name: &str,
        mtu: u32,
        there: BorrowedFd<'_>,
    ) -> io::Result<()> {
        let mut peer = LinkMessage::default();
        peer.attributes = vec![
            LinkAttribute::IfName(INTERFACE.to_owned()),
            LinkAttribute::NetNsFd(there.as_raw_fd()),
            LinkAttribute::Mtu(mtu),
        ];
        let mut message = LinkMessage::default();
        let veth = InfoData::Veth(InfoVeth::Peer(peer));
        message.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Mtu(mtu),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(veth)]),
        ];
        self.request(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Gives an interface a second name, or removes it where another one has that name already.
    pub(crate) fn add_name(&mut self, name: &str, second: &str) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = name_to_index(&self.socket, name)?;
        let mut named = message.clone();
        named.attributes = vec![LinkAttribute::PropList(vec![Prop::AltIfName(second.to_owned())])];
        let flags = NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND;
        match self.request(RouteNetlinkMessage::NewLinkProp(named), flags) {
            // A kernel before 5.5: there the first names have to do.
            Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => Ok(()),
            Err(error) => {
                self.request(RouteNetlinkMessage::DelLink(message), 0)?;
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    /// Gives an interface one of the two addresses of a pair, and brings it up.
    pub(crate) fn add_address(&mut self, name: &str, address: Ipv4Addr) -> Result<(), OpError> {
        let operation = || format!("give {name} the address {address}");
        let index = name_to_index(&self.socket, name).op(operation)?;
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = 31;
        message.header.index = index;
        let address = IpAddr::V4(address);
        message.attributes =
            vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        let request = RouteNetlinkMessage::NewAddress(message);
        self.request(request, NLM_F_CREATE | NLM_F_EXCL).op(operation)?;
        self.bring_up(index).op(|| format!("bring {name} up"))
    }

    /// Sends all that goes nowhere else to an address.
    pub(crate) fn add_default_route(&mut self, gateway: Ipv4Addr) -> Result<(), OpError> {
        let mut message = route(RouteType::Unicast);
        message.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet(gateway))];
        let request = RouteNetlinkMessage::NewRoute(message);
        self.request(request, NLM_F_CREATE | NLM_F_REPLACE)
            .op(|| format!("add a route by {gateway}"))
    }

    /// Refuses what goes to a subnet, at once.
    pub(crate) fn prohibit(&mut self, subnet: Subnet) -> Result<(), OpError> {
        let mut message = route(RouteType::Prohibit);
        message.header.destination_prefix_length = subnet.bits;
        message.attributes = vec![RouteAttribute::Destination(RouteAddress::Inet(subnet.address))];
        let request = RouteNetlinkMessage::NewRoute(message);
        self.request(request, NLM_F_CREATE | NLM_F_REPLACE).op(|| format!("close {subnet}"))
    }

    /// Sends a request, and waits for the kernel's word.
    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence += 1;
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        send(&self.socket, &bytes, SendFlags::empty())?;
        self.answer()
    }

    fn answer(&self) -> io::Result<()> {
        let mut buffer = [0; 8 * 1024];
        loop {
            let (length, _) = recv(&self.socket, &mut buffer, RecvFlags::empty())?;
            let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&buffer[..length])
                .map_err(|error| io::Error::other(error.to_string()))?;
            match answer.payload {
                NetlinkPayload::Error(answer) if answer.code.is_none() => return Ok(()),
                NetlinkPayload::Error(answer) => return Err(answer.to_io()),
                _ => {}
            }
        }
    }
}

fn route(kind: RouteType) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = kind;
    message
}
