import * as lp from "it-length-prefixed";

/**
 * One request of a core protocol, with its response kept. js-waku's protocols tell whether a request succeeded, but not
 * the status, the text or the page that came; so they get a libp2p whose streams also show us what they read.
 */
export class Exchange {
  #read = [];
  #protocol;

  constructor(libp2p) {
    const { connectionManager, peerStore } = libp2p.components;
    this.components = {
      peerStore,
      // Streams are opened ahead by the node's own protocols; one that lives for one request must not do so too.
      events: new EventTarget(),
      connectionManager: {
        getConnections: (peer) => connectionManager.getConnections(peer).map((it) => this.#connection(it)),
      },
    };
    this.libp2p = { components: this.components, peerStore };
  }

  /** Of the stream that was used; undefined if js-waku refused to ask. */
  get protocol() {
    return this.#protocol;
  }

  /** What was answered, without its length; undefined if there was nothing. */
  get response() {
    const frames = [...lp.decode(this.#read)].map((frame) => frame.subarray());
    return frames.length === 0 ? undefined : frames.reduce(joined);
  }

  #connection(connection) {
    const show = (stream) => this.#stream(stream);
    return {
      status: connection.status,
      timeline: connection.timeline,
      get streams() {
        return connection.streams.map(show);
      },
      newStream: async (protocol) => show(await connection.newStream(protocol)),
    };
  }

  #stream(stream) {
    const exchange = this;
    return {
      id: stream.id,
      protocol: stream.protocol,
      metadata: stream.metadata,
      get writeStatus() {
        return stream.writeStatus;
      },
      sink: (source) => {
        exchange.#protocol = stream.protocol;
        return stream.sink(source);
      },
      source: exchange.#shown(stream.source),
    };
  }

  async *#shown(source) {
    for await (const chunk of source) {
      this.#read.push(chunk.subarray());
      yield chunk;
    }
  }
}

function joined(left, right) {
  const both = new Uint8Array(left.length + right.length);
  both.set(left);
  both.set(right, left.length);
  return both;
}
