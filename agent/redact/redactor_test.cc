// SPDX-License-Identifier: Apache-2.0
#include "agent/redact/redactor.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace vedette {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using Arguments = std::vector<std::string>;

Arguments Redacted(Arguments argv, bool cut = false, Redactor::Options options = {}) {
  auto redactor = Redactor::Create(options);
  EXPECT_TRUE(redactor.ok()) << redactor.status();
  (*redactor)->RedactArguments(argv, cut);
  return argv;
}

struct Case {
  Arguments given, seen;
};

// What is redacted, and what of the command line can still be read.
const Case kSecretCases[] = {
    // Options by their name.
    {{"x", "--password", "hunter2"}, {"x", "--password", "[redacted]"}},
    {{"x", "--password=hunter2"}, {"x", "--password=[redacted]"}},
    {{"x", "--PASSWORD=hun ter2"}, {"x", "--PASSWORD=[redacted]"}},
    {{"x", "--db-password", "-hunter2"}, {"x", "--db-password", "[redacted]"}},
    {{"x", "--password", "--token", "hunter2"}, {"x", "--password", "--token", "[redacted]"}},
    {{"x", "--password", "-pA", "--v"}, {"x", "--password", "[redacted]", "--v"}},
    {{"x", "-password", "hunter2", "-v"}, {"x", "-password", "[redacted]", "-v"}},
    {{"x", "--dbPassword", "hunter2"}, {"x", "--dbPassword", "[redacted]"}},
    {{"x", "--token", "hunter2"}, {"x", "--token", "[redacted]"}},
    {{"x", "--auth-token=hunter2"}, {"x", "--auth-token=[redacted]"}},
    {{"x", "--api-key", "/hunter2"}, {"x", "--api-key", "[redacted]"}},
    {{"x", "--apikey=hunter2"}, {"x", "--apikey=[redacted]"}},
    {{"x", "--private-key", "hunter2"}, {"x", "--private-key", "[redacted]"}},
    {{"x", "--key", "hunter2hunter2"}, {"x", "--key", "[redacted]"}},
    {{"x", "--key=hunter2hunter2"}, {"x", "--key=[redacted]"}},
    {{"x", "--client-secret", "hunter2"}, {"x", "--client-secret", "[redacted]"}},
    {{"x", "--secret-id=hunter2"}, {"x", "--secret-id=[redacted]"}},
    {{"x", "--passphrase", "hunter2"}, {"x", "--passphrase", "[redacted]"}},
    {{"x", "--pass", "hunter2"}, {"x", "--pass", "[redacted]"}},
    {{"keytool", "-storepass", "hunter2"}, {"keytool", "-storepass", "[redacted]"}},
    {{"x", "--oauth2-bearer", "hunter2"}, {"x", "--oauth2-bearer", "[redacted]"}},
    {{"java", "-Ddb.password=hunter2", "-jar"}, {"java", "-Ddb.password=[redacted]", "-jar"}},
    {{"java", "-Dpassword=hunter2"}, {"java", "-Dpassword=[redacted]"}},
    {{"x", "--set", "auth.token=hunter2"}, {"x", "--set", "auth.token=[redacted]"}},
    {{"x", "--from-literal=password=hun ter2"}, {"x", "--from-literal=password=[redacted]"}},
    {{"x", "--credentials", "hunter2"}, {"x", "--credentials", "[redacted]"}},
    {{"x", "--creds", "u:hunter2"}, {"x", "--creds", "[redacted]"}},
    // Short options of known programs, also behind others.
    {{"mysql", "-uroot", "-phunter2", "db"}, {"mysql", "-uroot", "-p[redacted]", "db"}},
    {{"docker", "exec", "c", "/usr/bin/mysqldump", "-phunter2"},
     {"docker", "exec", "c", "/usr/bin/mysqldump", "-p[redacted]"}},
    {{"sshpass", "-p", "hunter2", "ssh", "h"}, {"sshpass", "-p", "[redacted]", "ssh", "h"}},
    {{"curl", "-u", "me:hunter2", "h"}, {"curl", "-u", "me:[redacted]", "h"}},
    {{"curl", "-ume:hunter2"}, {"curl", "-ume:[redacted]"}},
    {{"curl", "-sSLu", "me:hunter2"}, {"curl", "-sSLu", "me:[redacted]"}},
    {{"curl", "--user=me:hunter2"}, {"curl", "--user=me:[redacted]"}},
    {{"curl", "--proxy-user", "me:hunter2"}, {"curl", "--proxy-user", "me:[redacted]"}},
    {{"redis-cli", "-a", "hunter2", "PING"}, {"redis-cli", "-a", "[redacted]", "PING"}},
    {{"mongosh", "-u", "me", "-p", "hunter2"}, {"mongosh", "-u", "me", "-p", "[redacted]"}},
    {{"docker", "login", "-u", "me", "-p", "hunter2"},
     {"docker", "login", "-u", "me", "-p", "[redacted]"}},
    {{"ldapsearch", "-x", "-w", "hunter2"}, {"ldapsearch", "-x", "-w", "[redacted]"}},
    {{"smbclient", "-U", "me%hunter2"}, {"smbclient", "-U", "me%[redacted]"}},
    {{"7z", "x", "-phunter2", "a.7z"}, {"7z", "x", "-p[redacted]", "a.7z"}},
    {{"openssl", "rsa", "-passin", "pass:hunter2"}, {"openssl", "rsa", "-passin", "[redacted]"}},
    {{"openssl", "enc", "-k", "hunter2"}, {"openssl", "enc", "-k", "[redacted]"}},
    {{"ipmitool", "-P", "hunter2", "sel"}, {"ipmitool", "-P", "[redacted]", "sel"}},
    // Words without dashes.
    {{"redis-cli", "config", "set", "requirepass", "hunter2"},
     {"redis-cli", "config", "set", "requirepass", "[redacted]"}},
    {{"aws", "configure", "set", "aws_secret_access_key", "hunter2"},
     {"aws", "configure", "set", "aws_secret_access_key", "[redacted]"}},
    {{"npm", "config", "set", "//r.example/:_authToken", "hunter2"},
     {"npm", "config", "set", "//r.example/:_authToken", "[redacted]"}},
    {{"nmcli", "wifi", "connect", "x", "password", "hunter2"},
     {"nmcli", "wifi", "connect", "x", "password", "[redacted]"}},
    {{"psql", "-c", "CREATE USER a IDENTIFIED BY 'hunter2';"},
     {"psql", "-c", "CREATE USER a IDENTIFIED BY '[redacted]';"}},
    {{"psql", "-c", "ALTER ROLE a PASSWORD 'hunter2'"},
     {"psql", "-c", "ALTER ROLE a PASSWORD '[redacted]'"}},
    // Headers.
    {{"curl", "-H", "Authorization: Bearer hunter2", "h"},
     {"curl", "-H", "Authorization: [redacted]", "h"}},
    {{"curl", "-H", "authorization:Basic aHVudGVyMg=="},
     {"curl", "-H", "authorization:[redacted]"}},
    {{"curl", "--header=X-Api-Key: hunter2"}, {"curl", "--header=X-Api-Key: [redacted]"}},
    {{"curl", "-HPRIVATE-TOKEN: hunter2"}, {"curl", "-HPRIVATE-TOKEN: [redacted]"}},
    {{"curl", "-H", "Cookie: a=hunter2; b=hunter2"}, {"curl", "-H", "Cookie: [redacted]"}},
    {{"http", "h", "X-Auth-Token:hunter2"}, {"http", "h", "X-Auth-Token:[redacted]"}},
    {{"x", "Bearer", "hunter2"}, {"x", "Bearer", "[redacted]"}},
    {{"x", "use bearer hunter2"}, {"x", "use bearer [redacted]"}},
    // URLs.
    {{"git", "clone", "https://me:hunter2@git.example/x"},
     {"git", "clone", "https://[redacted]@git.example/x"}},
    {{"git", "clone", "https://hunter2@git.example"},
     {"git", "clone", "https://[redacted]@git.example"}},
    {{"x", "--db=postgres://me:hun/ter#2@h:5432/db"},
     {"x", "--db=postgres://[redacted]@h:5432/db"}},
    {{"x", "amqp://a:hunter2@h/v redis://:hunter2@r:1"},
     {"x", "amqp://[redacted]@h/v redis://[redacted]@r:1"}},
    {{"x", "me:hunter2@tcp(h:3306)/db"}, {"x", "me:[redacted]@tcp(h:3306)/db"}},
    {{"curl", "h/x?access_token=hunter2&page=2"}, {"curl", "h/x?access_token=[redacted]&page=2"}},
    {{"curl", "h/x?key=hunter2&page=2"}, {"curl", "h/x?key=[redacted]&page=2"}},
    {{"curl", "h/b?se=1&sig=hunter2"}, {"curl", "h/b?se=1&sig=[redacted]"}},
    {{"curl", "-d", "password=hunter2&user=me"}, {"curl", "-d", "password=[redacted]&user=me"}},
    // Variables.
    {{"env", "AWS_SECRET_ACCESS_KEY=hunter2/x+y=", "aws"},
     {"env", "AWS_SECRET_ACCESS_KEY=[redacted]", "aws"}},
    {{"env", "PGPASSWORD=hunter 2", "psql"}, {"env", "PGPASSWORD=[redacted]", "psql"}},
    {{"docker", "run", "-e", "MYSQL_ROOT_PASSWORD=hunter2"},
     {"docker", "run", "-e", "MYSQL_ROOT_PASSWORD=[redacted]"}},
    {{"docker", "run", "-eDB_PASS=hunter2"}, {"docker", "run", "-eDB_PASS=[redacted]"}},
    {{"sh", "-c", "A=b API_TOKEN=hunter2 run --fast"},
     {"sh", "-c", "A=b API_TOKEN=[redacted] run --fast"}},
    {{"bash", "-lc", "SECRET_KEY_BASE=hunter2 rails s"},
     {"bash", "-lc", "SECRET_KEY_BASE=[redacted] rails s"}},
    {{"sh", "-c", "export GH_TOKEN='hun ter2'; git push"},
     {"sh", "-c", "export GH_TOKEN='[redacted]'; git push"}},
    {{"sh", "-c", "PASS='hun'\"ter2\" run"}, {"sh", "-c", "PASS=[redacted] run"}},
    // Command lines in arguments.
    {{"sh", "-c", "mysql --password hunter2 db | wc"},
     {"sh", "-c", "mysql --password [redacted] db | wc"}},
    {{"sh", "-c", "cd /x && mysql -phunter2 db"}, {"sh", "-c", "cd /x && mysql -p[redacted] db"}},
    {{"bash", "-c", "ssh h 'curl -u \"me:hunter2\" x'"},
     {"bash", "-c", "ssh h 'curl -u \"me:[redacted]\" x'"}},
    {{"sh", "-c", "curl -H \"Authorization: Bearer hunter2\" x"},
     {"sh", "-c", "curl -H \"Authorization: [redacted]\" x"}},
    {{"sh", "-c", "curl -H Authorization:\\ hunter2 x; ls"},
     {"sh", "-c", "curl -H Authorization:[redacted]"}},
    {{"sh", "-c", "x --token \"hun ter2\" --v"}, {"sh", "-c", "x --token \"[redacted]\" --v"}},
    // Structured text.
    {{"curl", "-d", R"({"user":"me","password":"hunter2","n":1})"},
     {"curl", "-d", R"({"user":"me","password":"[redacted]","n":1})"}},
    {{"curl", "-d", R"({ "clientSecret" : "hun\"ter2" })"},
     {"curl", "-d", R"({ "clientSecret" : "[redacted]" })"}},
    {{"curl", "-d", R"({"pin":1234,"a":2})"}, {"curl", "-d", R"({"pin":[redacted],"a":2})"}},
    {{"sh", "-c", R"(curl -d "{\"token\":\"hunter2\",\"a\":1}" h)"},
     {"sh", "-c", R"(curl -d "{\"token\":\"[redacted]\",\"a\":1}" h)"}},
    {{"python3", "-c", "connect(password='hunter2', db=1)"},
     {"python3", "-c", "connect(password='[redacted]', db=1)"}},
    {{"x", "<a><password>hunter2</password></a>"}, {"x", "<a><password>[redacted]</password></a>"}},
    {{"x", "user: me\npassword: hunter2\nport: 1"},
     {"x", "user: me\npassword: [redacted]\nport: 1"}},
    {{"mount", "-o", "username=me,password=hunter2,vers=3"},
     {"mount", "-o", "username=me,password=[redacted],vers=3"}},
    {{"x", "Server=h;Password=hunter2;Database=d"},
     {"x", "Server=h;Password=[redacted];Database=d"}},
    // By their form.
    {{"x", "ghp_0123456789abcdefghij0123456789abcdef"}, {"x", "[redacted]"}},
    {{"x", "a=github_pat_11ABCDEFG0123456789_x"}, {"x", "a=[redacted]"}},
    {{"x", "AKIAIOSFODNN7EXAMPLE"}, {"x", "[redacted]"}},
    {{"x", "in xoxb-123456789012-abcdefghij"}, {"x", "in [redacted]"}},
    {{"x", "glpat-abcdefghijklmnopqrst"}, {"x", "[redacted]"}},
    {{"x", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"}, {"x", "[redacted]"}},
    {{"x", "https://hooks.slack.com/services/T0/B0/abc"},
     {"x", "https://hooks.slack.com/services/[redacted]"}},
    {{"x", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n"},
     {"x", "[redacted]\n"}},
    {{"x", "a -----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl"}, {"x", "a [redacted]"}},
    // Bytes that are no text.
    {{"x", "--password=\xff\xfehunter2\x01"}, {"x", "--password=[redacted]"}},
    {{"\xff", "--token", "\xffhunter2"}, {"\xff", "--token", "[redacted]"}},
};

const Arguments kLeftAlone[] = {
    {"x", "--keyboard", "us"},
    {"x", "--keyword=abc"},
    {"x", "--keyring", "main"},
    {"x", "--monkey", "business"},
    {"x", "--key-file", "/etc/ssl/a.key"},
    {"x", "--key-file=/etc/ssl/a.key"},
    {"x", "--token-file", "/run/secrets/token"},
    {"x", "--password-file=/run/secrets/pw"},
    {"docker", "login", "--password-stdin", "registry.example"},
    {"x", "--tls-private-key", "/etc/ssl/a.key"},
    {"x", "--key", "server.pem"},
    {"x", "--key=./server.pem"},
    {"env", "GOOGLE_APPLICATION_CREDENTIALS=/etc/sa.json"},
    {"gpg", "--passphrase-fd", "3"},
    {"x", "--secret-name", "db"},
    {"x", "--max-tokens", "512"},
    {"x", "--token-ttl=1h"},
    {"x", "--token-url", "https://idp.example/token"},
    {"x", "--no-password", "db"},
    {"x", "--ask-pass", "host"},
    {"x", "--sort-key", "name"},
    {"x", "--public-key=abcdef"},
    {"x", "--primary-key", "id"},
    {"x", "--bypass", "cache"},
    {"x", "--compass", "north"},
    {"x", "--tokenizer", "bert"},
    {"x", "--author", "me"},
    {"x", "--authority=h"},
    {"x", "--require-password=true"},
    {"x", "--password="},
    {"x", "--password"},
    {"sort", "--key=2,2n", "-t", ":"},
    {"env", "SSH_AUTH_SOCK=/tmp/agent", "PWD=/srv", "x"},
    {"env", "PASSWORD_FILE=/x", "KEYBOARD=us", "x"},
    {"aws", "ec2", "--tags", "Key=Name,Value=web"},
    {"x", R"({"key":"name","value":"a"})"},
    {"kubectl", "get", "secret", "db"},
    {"passwd", "bob"},
    {"cp", "/run/secrets/db_password", "/tmp/x"},
    {"gcc", "my_token.c", "-o", "a"},
    {"docker", "run", "-p", "8080:80", "image:tag"},
    {"docker", "pull", "image:tag@sha256:0123456789abcdef"},
    {"mysql", "-p", "db"},
    {"mkdir", "-p", "/srv/x"},
    {"ssh", "-p", "22", "me@host:/x"},
    {"scp", "a.txt", "me@host:/srv/a.txt"},
    {"rsync", "rsync://host:873/mod", "."},
    {"curl", "https://host:8443/a@b?email=a@b.c"},
    {"curl", "http://[::1]:80/x"},
    {"curl", "-u", "me", "h"},
    {"curl", "-H", "Accept: application/json", "-o", "/dev/null"},
    {"openssl", "rsa", "-passin", "env:PW"},
    {"openssl", "req", "-keyout", "a.key", "-keyform", "PEM"},
    {"git", "commit", "-m", "basic training of monkeys"},
    {"x", "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----"},
    {"x", "ASIA-PACIFIC/southeast/one"},
    {"x", "sk-learn", "key-value", "hf_cache"},
    {"x", "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"},
    {"x", "\xff\xfe\x01", ""},
    {"sh", "-c", "for i in 1 2 3; do echo $i: done; done"},
    {"find", ".", "-name", "*token*", "-exec", "ls", "{}", ";"},
    {"java", "-Xmx512m", "-Dfile.encoding=UTF-8", "com.example.KeyServer"},
    {"x", "time=10:30:00", "a::b", "c=d"},
};

TEST(RedactorTest, HidesSecretsAndLeavesTheRest) {
  for (const Case& c : kSecretCases) {
    EXPECT_EQ(Redacted(c.given), c.seen) << ::testing::PrintToString(c.given);
  }
  EXPECT_GE(std::size(kSecretCases), 60u);
}

TEST(RedactorTest, LeavesAloneWhatIsNoSecret) {
  for (const Arguments& argv : kLeftAlone) {
    EXPECT_EQ(Redacted(argv), argv);
  }
  EXPECT_GE(std::size(kLeftAlone), 60u);
}

TEST(RedactorTest, ASecondTimeChangesNothing) {
  for (const Case& c : kSecretCases) {
    EXPECT_EQ(Redacted(c.seen), c.seen);
  }
}

// The kernel gives 4 KiB: wherever the cut falls, no piece of the secret is left.
TEST(RedactorTest, WhereverTheLineIsCutNothingOfTheSecretIsLeft) {
  const Arguments lines[] = {{"x", "--password=SECRETSECRET"},
                             {"curl", "https://me:SECRETSECRET@host/x"},
                             {"curl", "-u", "me:SECRETSECRET"},
                             {"x", "me:SECRETSECRET@host"},
                             {"x", "say ghp_SECRETSECRETSECRET0123456789"},
                             {"mysql", "-pSECRETSECRET"},
                             {"x", "{\"password\":\"SECRETSECRET\"}"}};
  for (const Arguments& line : lines) {
    const size_t begin = line.back().find("SECRET");
    for (size_t cut = begin + 1; cut < line.back().size(); ++cut) {
      Arguments argv = line;
      argv.back().resize(cut);
      for (const std::string& argument : Redacted(argv, /*cut=*/true)) {
        EXPECT_THAT(argument, Not(HasSubstr("S"))) << line.back() << " cut at " << cut;
      }
    }
  }
  EXPECT_EQ(Redacted({"sh", "-c", "echo one two"}, true),
            (Arguments{"sh", "-c", "echo one [redacted]"}));
}

TEST(RedactorTest, OwnPatterns) {
  const Redactor::Options options = {.argv = ArgvCapture::kRedacted,
                                     .patterns = {"acme-[0-9]{4,}", "(?i)pin ([0-9]+)", "z+"}};
  EXPECT_EQ(
      Redacted({"x", "see ACME-1 acme-12345, acme-99999", "PIN 0000 pin 11", "a\xff\xffzz\xff"},
               false, options),
      (Arguments{"x", "see ACME-1 [redacted], [redacted]", "PIN [redacted] pin [redacted]",
                 "a\xff\xff[redacted]\xff"}));
}

TEST(RedactorTest, APatternThatCannotBeUsedIsOneSentence) {
  const auto redactor =
      Redactor::Create({.argv = ArgvCapture::kRedacted, .patterns = {"ok", "a(b"}});
  EXPECT_EQ(
      redactor.status().message(),
      "\"a(b\" is no pattern: missing ): a(b at character 1; write a regular expression of RE2");
}

TEST(RedactorTest, FullAndNone) {
  const Arguments argv = {"x", "--password=hunter2", "acme-1"};
  EXPECT_EQ(Redacted(argv, false, {.argv = ArgvCapture::kFull, .patterns = {}}), argv);
  EXPECT_EQ(Redacted(argv, false, {.argv = ArgvCapture::kFull, .patterns = {"acme-1"}}),
            (Arguments{"x", "--password=hunter2", "[redacted]"}));
  EXPECT_THAT(Redacted(argv, false, {.argv = ArgvCapture::kNone, .patterns = {}}), IsEmpty());
}

// What cannot be looked at within the bounds is hidden as a whole, and counted.
TEST(RedactorTest, FailsClosed) {
  std::vector<std::string> heavy(64, "(a|b|c){90}[a-f]{90}x");
  auto redactor = Redactor::Create({.argv = ArgvCapture::kRedacted, .patterns = heavy}).value();
  Arguments argv = {"x", std::string(4000, 'q'), "after"};
  redactor->RedactArguments(argv, false);
  EXPECT_THAT(argv, ElementsAre("x", "[redacted]", "[redacted]"));
  argv = {"x", std::string(Redactor::kMaxArgumentBytes + 1, 'q')};
  redactor->RedactArguments(argv, false);
  EXPECT_THAT(argv, ElementsAre("x", "[redacted]"));
  argv = {"x", R"(a "b 'c `d --e f g` h' i" j)"};
  redactor->RedactArguments(argv, false);
  EXPECT_THAT(argv[1], Not(HasSubstr("f g")));
  EXPECT_THAT(redactor->Counts(), ElementsAre(Pair("arguments", 4), Pair("too_deep", 1),
                                              Pair("too_expensive", 2), Pair("too_long", 1)));
}

// Any bytes: nothing is read beyond its end (asan), and it takes no time to speak of.
TEST(RedactorTest, AnyBytes) {
  auto redactor = Redactor::Create({}).value();
  std::mt19937 random(7);
  const std::string_view alphabet =
      "\"'`\\ =:;&@/-+.?<>{}()|%#\n\xff"
      "aPkey_password://BEGIN ghp_eyJ";
  for (int round = 0; round < 3000; ++round) {
    Arguments argv = {"sh", "-c"};
    std::string text(random() % 200, ' ');
    for (char& c : text) {
      c = alphabet[random() % alphabet.size()];
    }
    argv.push_back(text);
    argv.push_back("--token=hunter2hunter2");
    redactor->RedactArguments(argv, round % 2 == 0);
    ASSERT_EQ(argv.size(), 4u);
    EXPECT_THAT(argv.back(), Not(HasSubstr("hunter2")));
  }
}

TEST(RedactorTest, EventsOfEveryKindThatHoldStrings) {
  auto redactor = Redactor::Create({}).value();
  Event exec;
  exec.body = ExecEvent{.process = {.comm = "TOKEN=hunter2"},
                        .path = "/opt/my secret/ghp_0123456789abcdefghij/x",
                        .argv = {"x", "--token", "hunter2"},
                        .script = "/x?token=hunter2"};
  std::get<ExecEvent>(exec.body).process.ancestors.push_back({.comm = "ghp_abcdefghijk"});
  redactor->Redact(exec);
  const auto& body = std::get<ExecEvent>(exec.body);
  EXPECT_THAT(body.argv, ElementsAre("x", "--token", "[redacted]"));
  EXPECT_EQ(body.process.comm, "TOKEN=[redacted]");
  EXPECT_EQ(body.process.ancestors[0].comm, "[redacted]");
  // The profile tells programs and scripts apart by these.
  EXPECT_EQ(body.path, "/opt/my secret/ghp_0123456789abcdefghij/x");
  EXPECT_EQ(body.script, "/x?token=hunter2");
  Event seen;
  seen.body = ProcessSeenEvent{.argv = {"x", "--password=hunter2"}};
  redactor->Redact(seen);
  EXPECT_EQ(std::get<ProcessSeenEvent>(seen.body).argv[1], "--password=[redacted]");
  Event exit;
  exit.body = ExitEvent{.process = {.comm = "pw_token=x"}};
  redactor->Redact(exit);
  EXPECT_EQ(std::get<ExitEvent>(exit.body).process.comm, "pw_token=[redacted]");
  Event overflow;
  overflow.body = OverflowEvent{};
  redactor->Redact(overflow);
}

}  // namespace
}  // namespace vedette
