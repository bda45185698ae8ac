/**
 * What `setup-tensorflow [--cuda]` runs: builds the native binding of tfjs-node-gpu against PyPI's TensorFlow. The package's
 * own installer downloads an old libtensorflow instead; where that has been done, there is nothing to do here. Needs pip (of
 * the interpreter in PYTHON, else python3) and g++ once; training needs neither. It runs without a lock file: the
 * program's own does not have the packages that it compiles.
 */
import { dirname, join } from "node:path";
import { cacheFolder } from "../../shared/cache_folder.ts";
import { LockstepError } from "../../shared/errors.ts";
import { isThere } from "../../shared/files.ts";
import { BINDING, packageFolder, TENSORFLOW_PACKAGE } from "../../worker/engines/tensorflow_package.ts";
import { pipInstall, runSetup } from "./pip_install.ts";

const HEADERS_PACKAGE = "npm:node-api-headers@1.9.0";
const TENSORFLOW_VERSION = "2.21.0";
const LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"];

/** PyPI's TensorFlow, without what only Python needs; kept in the cache folder between runs. */
async function fetchTensorflow(flavour: string): Promise<string> {
  const folder = cacheFolder(`${flavour}-${TENSORFLOW_VERSION}`);
  if (folder === undefined) {
    throw new LockstepError("E_ENGINE", "Cannot set up TensorFlow: HOME must name the folder of this user");
  }
  const library = join(folder, "tensorflow", LIBRARIES[0]);
  if (await isThere(library)) return folder;
  console.log(`fetching ${flavour} ${TENSORFLOW_VERSION} from PyPI`);
  await pipInstall({ what: "TensorFlow", folder, packages: [`${flavour}==${TENSORFLOW_VERSION}`] });
  return folder;
}

async function build(tensorflow: string): Promise<string> {
  const folder = await packageFolder(TENSORFLOW_PACKAGE);
  const headers = await packageFolder(HEADERS_PACKAGE);
  const libraries = join(tensorflow, "tensorflow");
  const binding = join(folder, BINDING);
  await Deno.mkdir(dirname(binding), { recursive: true });
  console.log("compiling the binding");
  await runSetup("TensorFlow", [
    "g++",
    ...["-O2", "-std=c++17", "-fPIC", "-shared", "-DNAPI_VERSION=8", "-DNODE_GYP_MODULE_NAME=tfjs_binding"],
    ...[`-I${join(folder, "binding")}`, `-I${join(headers, "include")}`, `-I${join(libraries, "include")}`],
    ...["tfjs_backend.cc", "tfjs_binding.cc"].map((name) => join(folder, "binding", name)),
    ...["-o", `${binding}.new`, `-L${libraries}`, ...LIBRARIES.map((name) => `-l:${name}`)],
    `-Wl,-rpath,${libraries}`,
  ]);
  await Deno.rename(`${binding}.new`, binding);
  return binding;
}

if (import.meta.main) {
  const flavour = Deno.args.includes("--cuda") ? "tensorflow" : "tensorflow-cpu";
  try {
    console.log(`built ${await build(await fetchTensorflow(flavour))}`);
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    console.error(`error ${error.code}: ${error.message}`);
    Deno.exit(error.exitCode);
  }
}
