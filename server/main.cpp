// The `moelab` executable: command line and daemon.
#include "server/cli/cli.h"

int main(int argc, char** argv) {
  return moelab::server::cli::run(argc, argv);
}
