//! Where a Waku node learns of others: lists in DNS (EIP-1459) and Node Discovery v5 (33/WAKU2-DISCV5). What is found are
//! node records (31/WAKU2-ENR); whom to dial is not decided here.
