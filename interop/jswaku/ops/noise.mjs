import {
  Handshake,
  MessageDirection,
  NoiseHandshakePatterns,
  NoisePublicKey,
  NoiseTokens,
  PayloadV2,
  X25519DHKey,
} from "@waku/noise";

import { fromBase64, toBase64, toHex } from "../values.mjs";

const NAMETAG_LENGTH = 16;

/** A handshake, and the session it becomes. */
class Party {
  #handshake;
  /** Of the next message, unless another is asked for. */
  #nametag;
  #session;

  constructor({ pattern, initiator, prologue, psk, nametag, remote_static, remote_ephemeral, ...secrets }) {
    const known = NoiseHandshakePatterns[`Noise_${pattern}_25519_ChaChaPoly_SHA256`];
    if (!known) throw new Error(`there is no pattern ${pattern}`);
    this.static = keyPair(secrets.static);
    this.ephemeral = keyPair(secrets.ephemeral);
    this.#nametag = bytes(nametag) ?? new Uint8Array(NAMETAG_LENGTH);
    const ours = { [NoiseTokens.s]: this.static.publicKey, [NoiseTokens.e]: this.ephemeral.publicKey };
    const theirs = { [NoiseTokens.s]: bytes(remote_static), [NoiseTokens.e]: bytes(remote_ephemeral) };
    this.#handshake = new Handshake({
      hsPattern: withEphemeral(known, this.ephemeral),
      ephemeralKey: this.ephemeral,
      staticKey: this.static,
      prologue: bytes(prologue),
      psk: bytes(psk),
      preMessagePKs: preMessageKeys(known, initiator, ours, theirs),
      initiator,
    });
  }

  write(payload, nametag) {
    return this.#step({ transportMessage: payload }, nametag).payload2.serialize();
  }

  read(message, nametag) {
    return this.#step({ readPayloadV2: PayloadV2.deserialize(message) }, nametag).transportMessage;
  }

  finish() {
    this.#session = this.#handshake.finalizeHandshake();
    return this.#session.h;
  }

  get authcode() {
    return this.#handshake.genAuthcode();
  }

  get session() {
    if (!this.#session) throw new Error("the handshake is not finished");
    return this.#session;
  }

  #step(parameters, nametag) {
    const step = this.#handshake.stepHandshake({ ...parameters, messageNametag: bytes(nametag) ?? this.#nametag });
    this.#nametag = this.#handshake.hs.toMessageNametag();
    return step;
  }
}

const bytes = (text) => (text ? fromBase64(text) : undefined);

function keyPair(secret) {
  const dh = new X25519DHKey();
  return secret ? dh.generateKeyPairFromSeed(fromBase64(secret)) : dh.generateKeyPair();
}

/** js-noise makes a new ephemeral key whenever it writes one; this pattern's makes the one we want. */
function withEphemeral(pattern, ephemeral) {
  const dhKey = Object.assign(new X25519DHKey(), { generateKeyPair: () => ephemeral });
  return Object.create(pattern, { dhKey: { value: dhKey } });
}

function preMessageKeys(pattern, initiator, ours, theirs) {
  return pattern.preMessagePatterns.flatMap(({ direction, tokens }) => {
    const keys = (direction === MessageDirection.r) === initiator ? ours : theirs;
    return tokens.map((token) => {
      if (!keys[token]) throw new Error(`${pattern.name} needs the other party's key ${token} first`);
      return NoisePublicKey.fromPublicKey(keys[token]);
    });
  });
}

function party({ handshakes }, handshake) {
  const found = handshakes.get(handshake);
  if (!found) throw new Error(`there is no handshake ${handshake}`);
  return found;
}

export const noise = {
  async noise_begin({ handshakes }, { handshake, ...parameters }) {
    const begun = new Party(parameters);
    handshakes.set(handshake, begun);
    return { static: toBase64(begun.static.publicKey), ephemeral: toBase64(begun.ephemeral.publicKey) };
  },

  async noise_write(driver, { handshake, payload, nametag }) {
    const writer = party(driver, handshake);
    const message = toBase64(writer.write(fromBase64(payload), nametag));
    return { message, authcode: writer.authcode };
  },

  async noise_read(driver, { handshake, message, nametag }) {
    const reader = party(driver, handshake);
    const payload = toBase64(reader.read(fromBase64(message), nametag));
    return { payload, authcode: reader.authcode };
  },

  async noise_finish(driver, { handshake }) {
    const finished = party(driver, handshake);
    return { hash: toHex(finished.finish()), authcode: finished.authcode };
  },

  async noise_seal(driver, { handshake, payload }) {
    return { message: toBase64(party(driver, handshake).session.writeMessage(fromBase64(payload)).serialize()) };
  },

  async noise_open(driver, { handshake, message }) {
    const payload = PayloadV2.deserialize(fromBase64(message));
    return { payload: toBase64(party(driver, handshake).session.readMessage(payload)) };
  },
};
