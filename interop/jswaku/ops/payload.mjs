import { ecies, symmetric } from "@waku/message-encryption";

import { fromBase64, toBase64 } from "../values.mjs";

const SYMMETRIC_KEY_LENGTH = 32;

export const payload = {
  async payload_seal(_, { key, sign, payload }) {
    const to = fromBase64(key);
    const clear = await symmetric.preCipher(fromBase64(payload), sign && fromBase64(sign));
    const seal = to.length === SYMMETRIC_KEY_LENGTH ? symmetric.encryptSymmetric : ecies.encryptAsymmetric;
    return { payload: toBase64(await seal(clear, to)) };
  },

  async payload_open(_, { key, kind, payload }) {
    const open = kind === "symmetric" ? symmetric.decryptSymmetric : ecies.decryptAsymmetric;
    const opened = symmetric.postCipher(await open(fromBase64(payload), fromBase64(key)));
    if (!opened) throw new Error("there is no payload in it");
    const signer = opened.sig?.publicKey;
    return { payload: toBase64(opened.payload), signer: signer && toBase64(signer) };
  },
};
