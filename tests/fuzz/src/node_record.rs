//! Whole node records, as peer exchange brings them and as text.

use waku::NodeRecord;

/// A record that is read is written as the same bytes, and has nothing but addresses of its own peer or of a relay's.
pub fn run(data: &[u8]) {
    if let Ok(record) = NodeRecord::decode(data) {
        assert_eq!(record.encode(), data);
        look_at(&record);
    }
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(record) = text.parse::<NodeRecord>()
    {
        assert_eq!(NodeRecord::decode(&record.encode()).as_ref(), Ok(&record));
        look_at(&record);
    }
}

fn look_at(record: &NodeRecord) {
    let own = format!("/p2p/{}", record.peer_id());
    assert!(record.addresses().iter().all(|address| address.to_string().ends_with(&own)));
    let _ = (record.capabilities(), record.shards(), record.tcp4(), record.tcp6());
}
