use super::*;

const REFUSED: &[&str] = &[
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.9.9.9",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
];

const PUBLIC: &[&str] = &[
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.1.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "192.167.1.1",
    "192.169.1.1",
    "198.17.1.1",
    "198.20.0.1",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2003::1",
    "2a00:1450::1",
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn allowing(cidrs: &[&str]) -> AddressFilter {
    let cidrs: Vec<String> = cidrs.iter().map(ToString::to_string).collect();
    AddressFilter::new("allow_cidrs", &cidrs).unwrap()
}

#[test]
fn only_public_addresses_pass_by_themselves() {
    let filter = AddressFilter::default();
    for address in REFUSED {
        let refused = filter.check(ip(address)).unwrap_err();
        assert_eq!(refused.address, ip(address));
    }
    for address in PUBLIC {
        assert_eq!(filter.check(ip(address)), Ok(()), "{address}");
    }
}

#[test]
fn allowing_what_the_refusal_names_lets_the_address_through() {
    for address in REFUSED {
        let refused = AddressFilter::default().check(ip(address)).unwrap_err();
        let filter = allowing(&[&refused.network.to_string()]);
        assert_eq!(filter.check(ip(address)), Ok(()), "{address}");
    }
}

#[test]
fn an_allowed_network_lets_nothing_else_through() {
    let filter = allowing(&["127.0.0.0/8", "10.1.0.0/16"]);
    for address in ["127.0.0.1", "::ffff:127.0.0.1", "10.1.2.3"] {
        assert_eq!(filter.check(ip(address)), Ok(()), "{address}");
    }
    for address in ["10.2.0.1", "::1", "64:ff9b::7f00:1", "2002:7f00:1::"] {
        assert!(filter.check(ip(address)).is_err(), "{address}");
    }
}

#[test]
fn a_refusal_says_what_to_add() {
    let refusal = |address| {
        let refused = AddressFilter::default().check(ip(address));
        refused.unwrap_err().to_string()
    };
    assert_eq!(
        refusal("127.0.0.1"),
        "127.0.0.1 is a loopback address, which is refused unless allowed: \
         add `allow_cidrs = [\"127.0.0.0/8\"]`"
    );
    let mapped = refusal("::ffff:10.0.0.1");
    assert!(mapped.contains("a private address"), "{mapped}");
    assert!(
        mapped.ends_with("`allow_cidrs = [\"10.0.0.0/8\"]`"),
        "{mapped}"
    );
}

#[test]
fn of_many_addresses_those_that_may_are_kept() {
    let at = |address: &str| SocketAddr::new(ip(address), 80);
    let filter = AddressFilter::default();
    let mixed = vec![at("127.0.0.1"), at("8.8.8.8"), at("::1")];
    assert_eq!(filter.keep(mixed), Ok(vec![at("8.8.8.8")]));
    let inside = filter.keep(vec![at("::1"), at("10.0.0.1")]).unwrap_err();
    assert_eq!(inside.address, ip("10.0.0.1"));
    assert_eq!(filter.keep(vec![]), Ok(vec![]));
}

#[test]
fn what_is_not_a_network_is_named_with_its_option() {
    for cidr in ["localhost", "10.0.0.1", "10.0.0.0/33", ""] {
        let error = AddressFilter::new("allow_cidrs", &[cidr.to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "`allow_cidrs[0]`: \"{cidr}\" is not a network such as \"10.0.0.0/8\" or \"fd00::/8\""
            )
        );
    }
}
