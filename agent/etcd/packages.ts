/**
 * gRPC from npm, behind one module: it is loaded when the agent first connects, and lies in the Node engine's executable
 * as an asset of its own, so that no other command reads it.
 */
export { Client, connectivityState, credentials, Metadata, status } from '@grpc/grpc-js'
export { fromJSON } from '@grpc/proto-loader'
