// The fetcher: what no npm package carries, found or downloaded once and checked against pinned hashes.
export { cacheFolder, fetchArtifact, MissingArtifact, type FetchOptions } from "./fetch-artifact.ts";
export { manifest, type ArtifactName } from "./manifest.ts";
