// SPDX-License-Identifier: Apache-2.0
#include "tests/support/events/ocsf_validator.h"

#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

namespace vedette {
namespace {

using Json = nlohmann::json;

const Json& Schema() {
  static const Json schema = [] {
    std::ifstream file(VEDETTE_SOURCE_DIR "/tests/ocsf/ocsf-1.8.0.json");
    if (!file) {
      throw std::runtime_error("tests/ocsf/ocsf-1.8.0.json cannot be read");
    }
    return Json::parse(file);
  }();
  return schema;
}

class Validator {
 public:
  std::vector<std::string> Run(std::string_view text) {
    const Json event = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!event.is_object()) {
      return {"not a JSON object"};
    }
    const Json* definition = FindClass(event);
    if (definition == nullptr) {
      return {"class_uid: no class of the schema has this number"};
    }
    ReadProfiles(event);
    Fields(event, *definition, "");
    ClassRules(event, *definition);
    return std::move(errors_);
  }

 private:
  static const Json* FindClass(const Json& event) {
    for (const auto& [name, definition] : Schema()["classes"].items()) {
      if (event.contains("class_uid") && definition["class_uid"] == event["class_uid"]) {
        return &definition;
      }
    }
    return nullptr;
  }

  void ReadProfiles(const Json& event) {
    const Json profiles = event.value("/metadata/profiles"_json_pointer, Json::array());
    for (const Json& profile : profiles) {
      profiles_.insert(profile.is_string() ? profile.get<std::string>() : "");
    }
  }

  void ClassRules(const Json& event, const Json& definition) {
    if (event.value("category_uid", Json()) != definition["category_uid"]) {
      Fail("category_uid", "is not that of the class");
    }
    const Json activity = event.value("activity_id", Json());
    const int64_t expected = definition["class_uid"].get<int64_t>() * 100 +
                             (activity.is_number_integer() ? activity.get<int64_t>() : -1);
    if (event.value("type_uid", Json()) != expected) {
      Fail("type_uid", "is not class_uid * 100 + activity_id");
    }
    if (event.value("/metadata/version"_json_pointer, Json()) != Schema()["version"]) {
      Fail("metadata.version", "is not the version of the schema");
    }
    // Seconds or nanoseconds where milliseconds belong would be decades away from this window.
    const Json time = event.value("time", Json());
    if (time.is_number_integer() &&
        (time.get<int64_t>() < 946'684'800'000 || time.get<int64_t>() > 4'102'444'800'000)) {
      Fail("time", "is not in milliseconds of this century");
    }
  }

  void Fields(const Json& value, const Json& definition, const std::string& path) {
    const Json& attributes = definition["attributes"];
    for (const auto& [name, field] : value.items()) {
      const std::string at = path.empty() ? name : path + "." + name;
      if (!attributes.contains(name)) {
        Fail(at, "is not an attribute of the schema");
      } else {
        Attribute(field, attributes[name], at);
      }
    }
    for (const auto& [name, attribute] : attributes.items()) {
      const bool applies = !attribute.contains("profile") ||
                           profiles_.count(attribute["profile"].get<std::string>());
      if (applies && attribute.value("requirement", "") == "required" && !value.contains(name)) {
        Fail(path.empty() ? name : path + "." + name, "is required");
      }
    }
    Constraints(value, definition.value("constraints", Json::object()), path);
  }

  void Constraints(const Json& value, const Json& constraints, const std::string& path) {
    for (const auto& [rule, names] : constraints.items()) {
      size_t present = 0;
      for (const Json& name : names) {
        present += value.count(name.get<std::string>());
      }
      if (rule == "just_one" ? present != 1 : present == 0) {
        Fail(path, rule + " of " + names.dump() + " has to be there");
      }
    }
  }

  void Attribute(const Json& value, const Json& attribute, const std::string& at) {
    if (attribute.contains("profile") &&
        !profiles_.count(attribute["profile"].get<std::string>())) {
      Fail(at, "needs profile " + attribute["profile"].dump() + " in metadata.profiles");
    }
    if (!attribute.value("array", false)) {
      Single(value, attribute, at);
      return;
    }
    if (!value.is_array()) {
      Fail(at, "is not an array");
      return;
    }
    for (size_t i = 0; i < value.size(); ++i) {
      Single(value[i], attribute, at + "[" + std::to_string(i) + "]");
    }
  }

  void Single(const Json& value, const Json& attribute, const std::string& at) {
    const std::string type = attribute["type"];
    if (type == "object") {  // Free form.
      Check(value.is_object(), at, "is not an object");
    } else if (Schema()["objects"].contains(type)) {
      if (Check(value.is_object(), at, "is not an object")) {
        Fields(value, Schema()["objects"][type], at);
      }
    } else if (Schema()["types"].contains(type)) {
      Primitive(value, type, at);
    } else {
      Fail(at, "has a type that the schema does not define: " + type);
    }
    if (attribute.contains("enum")) {
      const std::string key = value.is_string() ? value.get<std::string>() : value.dump();
      Check(attribute["enum"].contains(key), at, "is not one of its enum: " + key);
    }
  }

  void Primitive(const Json& value, const std::string& type, const std::string& at) {
    const Json& definition = Schema()["types"][type];
    if (definition.contains("type")) {
      Primitive(value, definition["type"], at);
    } else if (type == "string_t") {
      Check(value.is_string(), at, "is not a string");
    } else if (type == "boolean_t") {
      Check(value.is_boolean(), at, "is not a boolean");
    } else if (type == "float_t") {
      Check(value.is_number(), at, "is not a number");
    } else if (type == "long_t" || type == "integer_t") {
      Check(value.is_number_integer(), at, "is not an integer");
      Check(type == "long_t" || !value.is_number_integer() ||
                value.get<int64_t>() <= std::numeric_limits<int32_t>::max(),
            at, "does not fit 32 bits");
    } else if (type != "json_t") {
      Fail(at, "has a primitive type that this validator does not know: " + type);
    }
    Format(value, definition, at);
  }

  void Format(const Json& value, const Json& definition, const std::string& at) {
    if (definition.contains("regex") && value.is_string()) {
      const std::string pattern = definition["regex"];
      auto [found, added] = patterns_.try_emplace(pattern);
      if (added) {
        found->second = std::regex(pattern);
      }
      Check(std::regex_search(value.get<std::string>(), found->second), at, "has a wrong format");
    }
    if (definition.contains("max_len") && value.is_string()) {
      Check(value.get<std::string>().size() <= definition["max_len"].get<size_t>(), at,
            "is too long");
    }
    if (definition.contains("range") && value.is_number_integer()) {
      Check(value >= definition["range"][0] && value <= definition["range"][1], at,
            "is out of range");
    }
  }

  bool Check(bool condition, const std::string& at, const std::string& what) {
    if (!condition) {
      Fail(at, what);
    }
    return condition;
  }

  void Fail(const std::string& at, const std::string& what) { errors_.push_back(at + " " + what); }

  std::set<std::string> profiles_;
  std::map<std::string, std::regex> patterns_;
  std::vector<std::string> errors_;
};

}  // namespace

std::vector<std::string> OcsfErrors(std::string_view json) { return Validator().Run(json); }

}  // namespace vedette
