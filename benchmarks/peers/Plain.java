import static io.gatling.javaapi.core.CoreDsl.*;
import static io.gatling.javaapi.http.HttpDsl.*;

import io.gatling.javaapi.core.Simulation;

/** The plain case: so many users on connections of their own, each asking for one URL again and again. */
public class Plain extends Simulation {
  {
    var users = Integer.parseInt(System.getenv("VUS"));
    var seconds = Long.parseLong(System.getenv("SECONDS"));
    var plain = scenario("plain").during(seconds).on(exec(http("item").get("/item")));
    setUp(plain.injectOpen(atOnceUsers(users))).protocols(http.baseUrl(System.getenv("BASE")).disableCaching());
  }
}
