#!/usr/bin/env node
// The program. The compile cache makes every start but the first twice as fast; it must be on before anything else is loaded.
import { enableCompileCache } from "node:module";

enableCompileCache();
void import("./run.ts");
