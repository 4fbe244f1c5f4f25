/** js-waku does not offer what was asked, or refuses to ask a peer for it. */
export class Unsupported extends Error {}
