import { loadLibzmq } from "../../../shared/zmq/libzmq.ts";

/** A process of its own, as the permissions of one cannot be taken and given back. */
try {
  loadLibzmq();
} catch (error) {
  console.log(String(error));
}
