package peer;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;

/** One record of the input topic, as Jackson reads it. */
@JsonIgnoreProperties(ignoreUnknown = true)
public record FollowEvent(
    String event_id, String account_id, String follower_id, String action, long occurred_at) {

  /** True for a follower gained, false for one lost. */
  public boolean isFollow() {
    return action.equals("follow");
  }
}
