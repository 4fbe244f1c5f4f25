import { WakuMessage } from "@waku/proto";

/**
 * js-waku's encoder interface around a message that is already complete. Those that it ships set the time themselves,
 * in milliseconds, and cannot leave a field out.
 */
export function encoderOf(message, pubsubTopic) {
  return {
    contentTopic: message.contentTopic,
    ephemeral: message.ephemeral ?? false,
    pubsubTopic,
    toWire: async () => WakuMessage.encode(message),
    toProtoObj: async () => message,
  };
}
