// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/cli.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <memory>

#include "absl/time/clock.h"
#include "agent/base/text.h"
#include "agent/cli/commands.h"
#include "agent/config/config.h"
#include "agent/config/values.h"

namespace vedette {
namespace {

// The command line under construction. What a command reads lives in its callback.
struct Builder {
  CLI::App& app;
  const RunCommand& run;
  const CliIo& io;
  int exit_code = kExitYes;
};

// What --limit may be.
CLI::Validator UpTo(int most) {
  return CLI::Validator(
      [most](std::string& text) {
        int number = 0;
        const char* end = text.data() + text.size();
        const auto [at, error] = std::from_chars(text.data(), end, number);
        return error == std::errc() && at == end && number >= 1 && number <= most
                   ? std::string()
                   : fmt::format("\"{}\" is no number from 1 to {}", text, most);
      },
      "");
}

std::string DefaultSocket() {
  const char* named = getenv("VEDETTE_SOCKET");
  return named != nullptr && *named != '\0' ? named : kDefaultSocket;
}

// Gives the options that every client command has; they are filled when the command line was read.
std::shared_ptr<ClientOptions> AddClientOptions(CLI::App* command, bool has_graph = false) {
  auto options = std::make_shared<ClientOptions>();
  options->socket = DefaultSocket();
  command
      ->add_option("--socket", options->socket,
                   "The agent's socket; else VEDETTE_SOCKET, else " + std::string(kDefaultSocket))
      ->type_name("PATH");
  command
      ->add_option_function<std::string>(
          "-o,--output",
          [options](const std::string& name) {
            options->output = name == "json"    ? Output::kJson
                              : name == "jsonl" ? Output::kJsonl
                              : name == "dot"   ? Output::kDot
                                                : Output::kTable;
          },
          has_graph ? "table (for people), json, jsonl (one item per line) or, with --peers, dot "
                      "(for Graphviz)"
                    : "table (for people), json or jsonl (one item per line)")
      ->check(has_graph ? CLI::IsMember({"table", "json", "jsonl", "dot"})
                        : CLI::IsMember({"table", "json", "jsonl"}))
      ->type_name("FORMAT");
  return options;
}

void AddRun(Builder& builder) {
  CLI::App* command = builder.app.add_subcommand("run", "Run the agent on this node");
  auto options = std::make_shared<RunOptions>();
  auto duration = std::make_shared<std::string>();
  command
      ->add_option("-c,--config", options->config_file,
                   fmt::format("Configuration file; else {} if it is there", kDefaultConfigFile))
      ->type_name("FILE")
      // Of a variable that a script forgot: not the same as none.
      ->check([](const std::string& file) {
        return file.empty() ? std::string("the name is empty; name a file") : std::string();
      });
  command
      ->add_option("--set", options->sets,
                   "Override one key, such as learning.min_time=1h; repeatable")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  command->add_flag("--check-config", options->check_config,
                    "Say whether the configuration is valid, and start nothing");
  command->add_option("--duration", *duration, "Stop after this long, such as 30s")
      ->type_name("DURATION")
      ->check(CLI::Validator(
          [](std::string& text) {
            absl::StatusOr<absl::Duration> parsed = ParseConfigDuration(text);
            return parsed.ok() ? std::string() : std::string(parsed.status().message());
          },
          ""));
  command->callback([&builder, options, duration] {
    if (!duration->empty()) {
      options->duration = *ParseConfigDuration(*duration);
    }
    if (options->config_file.empty() && access(kDefaultConfigFile, F_OK) == 0) {
      options->config_file = kDefaultConfigFile;
    }
    builder.exit_code = builder.run(*options);
  });
}

void AddDoctor(Builder& builder) {
  CLI::App* command =
      builder.app.add_subcommand("doctor",
                                 "What the agent on this node sees, can do and loses\n"
                                 "Exit code 0: all is well; 1: degraded; 3: no agent is ready");
  auto options = AddClientOptions(command);
  command->callback(
      [&builder, options] { builder.exit_code = DoctorCommand(*options, builder.io); });
}

void AddEvents(Builder& builder) {
  CLI::App* command =
      builder.app.add_subcommand("events", "Watch events as they happen, until interrupted");
  auto options = AddClientOptions(command);
  auto events = std::make_shared<EventsOptions>();
  command
      ->add_option("-w,--workload", events->workloads,
                   "Only this workload, by its name or the name's last parts; repeatable")
      ->type_name("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      ->add_option("-k,--kind", events->kinds,
                   "Only this kind, such as exec or connect; repeatable")
      ->type_name("KIND")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("-n,--limit", events->limit, "Stop after so many events")
      ->type_name("N")
      ->check(UpTo(std::numeric_limits<int>::max()));
  command->callback([&builder, options, events] {
    builder.exit_code = EventsCommand(*options, *events, builder.io);
  });
}

void AddTop(Builder& builder) {
  CLI::App* command = builder.app.add_subcommand(
      "top", "Workloads, how far learning is, and who talks to whom; refreshed on a terminal");
  auto options = AddClientOptions(command, /*has_graph=*/true);
  auto once = std::make_shared<bool>(false);
  auto peers = std::make_shared<bool>(false);
  command->add_flag("--once", *once, "Print once and end");
  command->add_flag("--peers", *peers, "The service map: who talks to whom, how much and how fast");
  command->callback([&builder, options, once, peers] {
    if (options->output == Output::kDot && !*peers) {
      throw CLI::ValidationError("top -o dot", "only the service map is a graph; say --peers");
    }
    builder.exit_code = (*peers ? PeersCommand : TopCommand)(*options, *once, builder.io);
  });
}

void AddProfile(Builder& builder) {
  CLI::App* profile = builder.app.add_subcommand("profile", "What was learned of each workload");
  profile->require_subcommand(1);

  CLI::App* list = profile->add_subcommand("list", "All workloads and how sure their profiles are");
  auto list_options = AddClientOptions(list);
  list->callback([&builder, list_options] {
    builder.exit_code = ProfileListCommand(*list_options, builder.io);
  });

  using Command = int (*)(const ClientOptions&, const std::string&, const CliIo&);
  auto add_for_one = [&](const char* name, const char* help, Command run) {
    CLI::App* command = profile->add_subcommand(name, help);
    auto options = AddClientOptions(command);
    auto workload = std::make_shared<std::string>();
    command
        ->add_option("WORKLOAD", *workload,
                     "Name, as `vedette profile list` shows it, or the name's last parts")
        ->type_name("")
        ->required();
    command->callback([&builder, options, workload, run] {
      builder.exit_code = run(*options, *workload, builder.io);
    });
  };
  add_for_one("show", "One workload's behaviours", ProfileShowCommand);
  add_for_one("export", "One workload's whole profile as JSON", ProfileExportCommand);

  CLI::App* freeze = profile->add_subcommand(
      "freeze", "End learning now; what is new from here on is a finding. Needs root");
  auto freeze_options = AddClientOptions(freeze);
  auto workloads = std::make_shared<std::vector<std::string>>();
  auto all = std::make_shared<bool>(false);
  CLI::Option* names =
      freeze
          ->add_option("WORKLOAD", *workloads,
                       "Names, as `vedette profile list` shows them, or their last parts")
          ->type_name("");
  freeze->add_flag("--all", *all, "Every workload")->excludes(names);
  freeze->callback([&builder, freeze_options, workloads, all] {
    if (workloads->empty() && !*all) {
      throw CLI::ValidationError("profile freeze", "name workloads, or say --all");
    }
    builder.exit_code = ProfileFreezeCommand(*freeze_options, *workloads, builder.io);
  });
}

void AddFindingDismiss(Builder& builder, CLI::App* finding) {
  CLI::App* dismiss = finding->add_subcommand(
      "dismiss", "Teach the profile that a finding is none, or take that back. Needs root");
  auto options = AddClientOptions(dismiss);
  auto uid = std::make_shared<std::string>();
  auto reason = std::make_shared<std::string>();
  auto undo = std::make_shared<bool>(false);
  dismiss->add_option("ID", *uid, "As `vedette finding list` shows it, or its first characters")
      ->type_name("")
      ->required();
  CLI::Option* why =
      dismiss->add_option("--reason", *reason, "Why it is none; kept with the profile")
          ->type_name("TEXT");
  dismiss->add_flag("--undo", *undo, "It is a finding after all")->excludes(why);
  dismiss->callback([&builder, options, uid, reason, undo] {
    if (!*undo && reason->find_first_not_of(" \t\r\n") == std::string::npos) {
      throw CLI::ValidationError("finding dismiss", "say why, with --reason TEXT, or say --undo");
    }
    builder.exit_code =
        FindingDismissCommand(*options, *uid, *undo ? std::string() : *reason, builder.io);
  });
}

void AddFinding(Builder& builder) {
  CLI::App* finding = builder.app.add_subcommand("finding", "What deviated from the profiles");
  finding->require_subcommand(1);

  CLI::App* list = finding->add_subcommand("list", "Findings, newest first");
  auto list_options = AddClientOptions(list);
  auto filter = std::make_shared<FindingListOptions>();
  list->add_option("-w,--workload", filter->workload,
                   "Only of this workload, by its name or the name's last parts")
      ->type_name("NAME");
  list->add_option("-n,--limit", filter->limit, "At most so many (default 100)")
      ->type_name("N")
      ->check(UpTo(10000));
  list->add_flag("--all", filter->all, "Also those that were dismissed");
  list->callback([&builder, list_options, filter] {
    builder.exit_code = FindingListCommand(*list_options, *filter, builder.io);
  });

  CLI::App* show = finding->add_subcommand("show", "One finding with its whole story");
  auto show_options = AddClientOptions(show);
  auto uid = std::make_shared<std::string>();
  show->add_option("ID", *uid, "As `vedette finding list` shows it, or its first characters")
      ->type_name("")
      ->required();
  show->callback([&builder, show_options, uid] {
    builder.exit_code = FindingShowCommand(*show_options, *uid, builder.io);
  });
  AddFindingDismiss(builder, finding);
}

// One sentence, and where to read on.
std::string UsageError(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* command = &app;
  std::string name = app.get_name();
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    name += " " + command->get_name();
  }
  std::string sentence = error.what();
  if (command->get_require_subcommand_min() > 0) {
    std::vector<std::string> known;
    for (const CLI::App* below : command->get_subcommands({})) {
      known.push_back(below->get_name());
    }
    const std::vector<std::string> rest = command->remaining();
    const bool is_option = !rest.empty() && rest[0].starts_with('-');
    sentence = fmt::format("{}; write one of {}",
                           rest.empty() ? "no command was given"
                           : is_option  ? fmt::format("no option {} is known here", rest[0])
                                        : fmt::format("no command {} is known", rest[0]),
                           fmt::join(known, ", "));
  }
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError) &&
      command->get_name() == "run") {
    sentence += ". A configuration is named with --config FILE";
  }
  return fmt::format("vedette: {}; see `{} --help`\n", PrintableUtf8(sentence), name);
}

ScreenSize SizeOfTerminal() {
  winsize size = {};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? ScreenSize{size.ws_row, size.ws_col}
                                                      : ScreenSize();
}

// What was asked for and did not arrive is no success: else a script takes half of an export for
// all of it.
int WithOutput(int exit_code, const CliIo& io) {
  if (io.out.flush()) {
    return exit_code;
  }
  io.err << "vedette: the output could not be written; is the disk full, or the reader gone?\n";
  return exit_code == kExitYes ? kExitFailed : exit_code;
}

bool WaitOnTerminal(absl::Duration duration) {
  absl::SleepFor(duration);
  return true;
}

}  // namespace

int RunCli(int argc, const char* const* argv, const RunCommand& run) {
  bool terminal = isatty(STDOUT_FILENO) != 0;
  return RunCli(argc, argv, run, {std::cout, std::cerr, terminal, WaitOnTerminal, SizeOfTerminal});
}

int RunCli(int argc, const char* const* argv, const RunCommand& run, const CliIo& io) {
  CLI::App app("Vedette: watches what the services of this node do, and tells what is new",
               "vedette");
  app.require_subcommand(1);
  app.set_version_flag("--version", "vedette " VEDETTE_VERSION);
  app.footer(
      "Exit codes: 0 yes, 1 no, 2 wrong usage, 3 could not do it (no agent, no permission).");
  Builder builder{app, run, io};
  AddRun(builder);
  AddDoctor(builder);
  AddEvents(builder);
  AddTop(builder);
  AddProfile(builder);
  AddFinding(builder);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      return WithOutput(app.exit(error, io.out, io.err), io);  // --help, --version.
    }
    io.err << UsageError(app, error);
    return kExitUsage;
  } catch (const nlohmann::json::exception&) {
    io.err << "vedette: the agent's answer has an unexpected shape; are agent and command of one "
              "version?\n";
    return kExitFailed;
  }
  return WithOutput(builder.exit_code, io);
}

}  // namespace vedette
