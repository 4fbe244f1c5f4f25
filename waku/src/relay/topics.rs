//! Which pubsub topics the node must be subscribed to: as long as somebody needs them.

use std::collections::BTreeMap;

use waku_proto::PubsubTopic;

/// How many need each topic.
#[derive(Debug, Default)]
pub(crate) struct TopicUsers {
    users: BTreeMap<PubsubTopic, usize>,
}

impl TopicUsers {
    /// Counts a user; true when it is the topic's first.
    pub(crate) fn acquire(&mut self, topic: &PubsubTopic) -> bool {
        let users = self.users.entry(topic.clone()).or_default();
        *users += 1;
        *users == 1
    }

    /// Discounts a user; true when it was the topic's last.
    pub(crate) fn release(&mut self, topic: &PubsubTopic) -> bool {
        let Some(users) = self.users.get_mut(topic) else {
            return false;
        };
        *users -= 1;
        if *users > 0 {
            return false;
        }
        self.users.remove(topic);
        true
    }

    /// Every topic somebody needs.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &PubsubTopic> {
        self.users.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_needed_from_its_first_user_to_its_last() {
        let topic: PubsubTopic = "/waku/2/rs/0/1".parse().unwrap();
        let mut users = TopicUsers::default();
        assert!(users.acquire(&topic));
        assert!(!users.acquire(&topic));
        assert!(!users.release(&topic));
        assert_eq!(users.topics().count(), 1);
        assert!(users.release(&topic));
        assert_eq!(users.topics().count(), 0);
        assert!(!users.release(&topic));
    }
}
